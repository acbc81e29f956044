"""The wire: several commands as one write, their replies in order. Touches Redis.

redis-py's own path from a command to its connection costs as much as the round trip itself: retries, hooks
and metrics that are not wanted here. This is the same connection, pool and parser without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis
from hiredis import pack_command
from redis.exceptions import ReadOnlyError, ResponseError

from otp_service.store.terms import Wait

Argument = str | bytes | int
Command = tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """The *replies* to a flush; that of a refused command is its error. *lasts*: enough replicas have it."""

    replies: list[Any]
    lasts: bool = True

    def sound(self) -> list[Any]:
        """Return the replies.

        Raises:
            redis.RedisError: one of them is an error.
        """
        for reply in self.replies:
            if isinstance(reply, Exception):
                raise reply
        return self.replies


class Wire:
    """One server, over the connection pool of *client*; implements `servers.Servers`."""

    is_cluster = False

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool

    def trip(self, commands: Sequence[Command], wait: Wait | None = None) -> Told:
        """See `servers.Servers.trip`."""
        return self.begin(commands, wait).end()

    def masters(self) -> list[Wire]:
        """See `servers.Servers.masters`."""
        return [self]

    def owner(self, _: str) -> Wire:
        """See `servers.Servers.owner`."""
        return self

    def close(self) -> None:
        """See `servers.Servers.close`."""
        self._pool.disconnect()

    def begin(self, commands: Sequence[Command], wait: Wait | None) -> Flight:
        """Send *commands* once, in one write; the flight must be ended or dropped.

        Raises:
            redis.RedisError: any of them may or may not have run.
        """
        flight = Flight(self._pool, len(commands), wait)
        flight.send(commands)
        return flight


class Flight:
    """So many commands under way on a connection lent from *pool*, after them to *wait* for replicas."""

    def __init__(self, pool: redis.ConnectionPool, count: int, wait: Wait | None) -> None:
        self._pool = pool
        self._connection: Any = pool.get_connection()
        self._count = count
        self._wait = wait

    def send(self, commands: Sequence[Command]) -> None:
        """Send *commands*."""
        try:
            if wait := self._wait:
                commands = [*commands, ("WAIT", wait.replicas, round(wait.seconds * 1000))]
            # Its stub knows commands of one word only.
            packed = b"".join([pack_command(command) for command in commands])  # type: ignore[arg-type]
            self._connection.send_packed_command([packed], check_health=False)
        except BaseException as error:
            self._lose(error)
            raise

    def end(self) -> Told:
        """Return the replies.

        Raises:
            redis.RedisError: any of the commands may or may not have run.
        """
        try:
            replies = [_reply(self._connection) for _ in range(self._count)]
            lasts = self._wait is None or _reached(_reply(self._connection), self._wait.replicas)
        except BaseException as error:
            self._lose(error)
            raise
        self._pool.release(self._connection)
        self._connection = None
        if any(isinstance(reply, ReadOnlyError) for reply in replies):
            # The master has become a replica: its address may lead to another server by now.
            self._pool.disconnect()
        return Told(replies, lasts)

    def _lose(self, error: BaseException) -> None:
        """Give the connection up. If the server has ended it, it has ended those that nobody uses as well."""
        self.drop()
        if isinstance(error, redis.ConnectionError):
            self._pool.disconnect()

    def drop(self) -> None:
        """Give the connection back without reading from it; it has been ended before, nothing happens.

        A reply that is still to come must never be read as the answer to somebody else's command.
        """
        if self._connection is not None:
            self._connection.disconnect()
            self._pool.release(self._connection)
            self._connection = None


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def _reached(reply: object, replicas: int) -> bool:
    return isinstance(reply, int) and reply >= replicas
