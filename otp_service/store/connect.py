"""Connecting: a URL becomes a client whose every command is sent once and answered soon. Touches Redis."""

from __future__ import annotations

import math
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

FRESH_SECONDS = 1.0
"""A connection used so lately is not looked at before its next use: if it ended since, sending tells."""

if TYPE_CHECKING:
    _Base = redis.Connection
else:
    _Base = object


class _Lean(_Base):
    """Lets the kernel watch the time-out, and asks nothing before each command.

    With a time-out of Python's own every send and every read is a poll and then the call itself; each of them
    lets go of the interpreter and has to win it back, which under load costs more than the command.
    """

    _sent_at = -math.inf

    def _connect(self) -> Any:
        sock = super()._connect()  # type: ignore[no-untyped-call]
        micros = round((self.socket_timeout or 0) * 1e6)
        limit = struct.pack("ll", micros // 10**6, micros % 10**6)
        sock.settimeout(None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        return sock

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002
        """Send *command*, and remember when."""
        self._sent_at = time.monotonic()
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def can_read(self, timeout: float = 0) -> bool:
        """Whether something waits to be read; the pool asks before it lends a connection."""
        return time.monotonic() - self._sent_at > FRESH_SECONDS and super().can_read(timeout)


class LeanConnection(_Lean, redis.Connection):
    """Over TCP."""


class LeanUnixConnection(_Lean, redis.UnixDomainSocketConnection):
    """Over a Unix socket."""


_LEAN: dict[type, type] = {
    redis.Connection: LeanConnection,
    redis.UnixDomainSocketConnection: LeanUnixConnection,
}
"""TLS has a state of its own between the socket and us, and keeps the time-outs it knows."""


class LeanPool(redis.ConnectionPool):
    """Lends connections without locks and metrics: taking from a list and giving back are each one step."""

    def get_connection(self, *_: Any, **__: Any) -> Any:
        """Return a connected connection.

        Raises:
            redis.ConnectionError: the server does not answer, or all connections are lent.
        """
        self._checkpid()
        try:
            connection = self._available_connections.pop()
        except IndexError:
            connection = self.make_connection()
        try:
            _see_to_it(connection)
        except BaseException:
            self.release(connection)
            raise
        return connection

    def release(self, connection: Any) -> None:
        """Take *connection* back, unless it was made before this process was forked."""
        if connection.pid == self.pid:
            self._available_connections.append(connection)


def _see_to_it(connection: Any) -> None:
    """Connect *connection*, again if the server has ended it or something unread is left in it."""
    connection.connect()
    try:
        unfit = connection.can_read()
    except redis.ConnectionError:
        unfit = True
    if unfit:
        connection.disconnect()
        connection.connect()


class BadRedisUrl(ValueError):
    """A text that names no Redis; it may hold a password, so it is not repeated."""

    def __init__(self) -> None:
        super().__init__("is not an address of a Redis")


_PLACE = frozenset({"host", "port", "db", "username", "password", "path", "connection_class"})


def _place(url: str) -> dict[str, Any]:
    try:
        place: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError:
        place = {"unreadable": True}
    if not place.keys() <= _PLACE:
        raise BadRedisUrl
    return place


def connect(
    url: str, *, pool_size: int = 256, connect_timeout: float = 0.5, read_timeout: float = 0.5
) -> redis.Redis:
    """Return a client for `redis://`, `rediss://` or `unix://`; nothing is sent before its first command.

    redis-py would by default send a command up to ten times when its answer is lost, and a script that ran
    twice has counted twice. Time-outs in seconds. Nobody waits for one of the *pool_size* connections: when
    all are lent, a command is refused.

    Raises:
        BadRedisUrl: *url* names no Redis, or sets what is not the URL's to set.
    """
    place = _place(url)
    usual = place.pop("connection_class", redis.Connection)
    pool = LeanPool(
        connection_class=_LEAN.get(usual, usual),
        max_connections=pool_size,
        socket_connect_timeout=connect_timeout,
        socket_timeout=read_timeout,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        health_check_interval=0,
        decode_responses=False,
        # RESP2 needs no greeting, and without a name there is no CLIENT SETINFO: connecting is one trip.
        protocol=2,
        driver_info=None,
        **place,
    )
    return redis.Redis.from_pool(pool)
