"""Connecting: a URL becomes a client whose every command is sent once and answered soon. Touches Redis.

redis-py would by default send a command up to ten times when its answer is lost, and a script that ran twice
has counted twice. Here a command is sent once, or refused.
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from contextlib import suppress
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from otp_service.store.parser import PatientParser, Timed
from otp_service.store.terms import FileCredentials, Terms
from otp_service.store.url import BadRedisUrl, Endpoint, Kind, RedisUrl, parse

__all__ = ["BadRedisUrl", "client", "connect", "endpoint_client", "pooled", "server_client"]

FRESH_SECONDS = 1.0
"""A connection used so lately is not looked at before its next use: if it ended since, sending tells."""


class _Lean(Timed):
    """Lets the kernel watch the time-out, and asks nothing before each command.

    With a time-out of Python's own every send and every read is a poll and then the call itself; each of them
    lets go of the interpreter and has to win it back, which under load costs more than the command.
    """

    def _connect(self) -> Any:
        sock = super()._connect()  # type: ignore[no-untyped-call]
        micros = round((self.socket_timeout or 0) * 1e6)
        limit = struct.pack("ll", micros // 10**6, micros % 10**6)
        sock.settimeout(None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        return sock

    def can_read(self, timeout: float = 0) -> bool:
        """Whether something waits to be read; the pool asks before it lends a connection."""
        return time.monotonic() - self.sent_at > FRESH_SECONDS and super().can_read(timeout)


class LeanConnection(_Lean, redis.Connection):
    """Over TCP."""


class LeanUnixConnection(_Lean, redis.UnixDomainSocketConnection):
    """Over a Unix socket."""


class TlsConnection(Timed, redis.SSLConnection):
    """Over TLS, which has a state of its own between the socket and us, and keeps the time-outs it knows.

    An own CA stands in for those of the machine, and its file is read for each connection.
    """

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=self.ca_certs)
        if self.certfile:
            context.load_cert_chain(self.certfile, self.keyfile)
        return context.wrap_socket(sock, server_hostname=self.host)


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

    def disconnect(self, inuse_connections: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """End the connections that nobody has borrowed; each connects anew when it is wanted."""
        for _ in range(len(self._available_connections)):
            with suppress(IndexError):
                connection = self._available_connections.pop(0)
                connection.disconnect()
                self.release(connection)


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


def connect(
    url: str, *, pool_size: int = 256, connect_timeout: float = 0.5, read_timeout: float = 0.5
) -> redis.Redis:
    """Return a client for `redis://`, `rediss://` or `unix://`; nothing is sent before its first command.

    Time-outs in seconds. Nobody waits for one of the *pool_size* connections: when all are lent, a command
    is refused.

    Raises:
        BadRedisUrl: *url* names no single Redis, or sets what is not the URL's to set.
    """
    terms = Terms(pool_size=pool_size, connect_timeout=connect_timeout, read_timeout=read_timeout)
    return client(parse(url), terms)


def client(place: RedisUrl, terms: Terms) -> redis.Redis:
    """Return a client of the one server at *place*.

    Raises:
        BadRedisUrl: it is not one server.
    """
    if place.kind is not Kind.SERVER:
        raise BadRedisUrl
    if place.path:
        facts = {"path": place.path, "db": place.db, **login(place, terms)}
        return pooled(LeanUnixConnection, terms, facts)
    return server_client(place.hosts[0], place, terms)


def server_client(endpoint: Endpoint, place: RedisUrl, terms: Terms) -> redis.Redis:
    """Return a client of the data server at *endpoint*, which is one of those at *place*."""
    return endpoint_client(endpoint, terms, is_tls=place.is_tls, db=place.db, **login(place, terms))


def endpoint_client(endpoint: Endpoint, terms: Terms, *, is_tls: bool, **facts: Any) -> redis.Redis:
    """Return a client of whatever listens at *endpoint*; *facts* are those of redis-py."""
    host, port = endpoint
    facts |= {"host": host, "port": port}
    if not is_tls:
        return pooled(LeanConnection, terms, facts)
    files = {"ssl_ca_certs": terms.ca_file, "ssl_certfile": terms.cert_file, "ssl_keyfile": terms.key_file}
    return pooled(TlsConnection, terms, {**facts, **files})


def login(place: RedisUrl, terms: Terms) -> dict[str, Any]:
    """Return who we are to data servers; a file of a password stands in for that of the URL."""
    if terms.password_file:
        return {"credential_provider": FileCredentials(place.username, terms.password_file)}
    return {"username": place.username or None, "password": place.password or None}


def pooled(connection: type, terms: Terms, facts: dict[str, Any]) -> redis.Redis:
    """Return a client whose connections are of that class; *facts* are those of redis-py."""
    pool = LeanPool(
        connection_class=connection,
        max_connections=terms.pool_size,
        socket_connect_timeout=terms.connect_timeout,
        socket_timeout=terms.read_timeout,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        health_check_interval=0,
        decode_responses=False,
        # RESP2 needs no greeting, and without a name there is no CLIENT SETINFO: connecting is one trip.
        protocol=2,
        parser_class=PatientParser,
        driver_info=None,
        **facts,
    )
    return redis.Redis.from_pool(pool)
