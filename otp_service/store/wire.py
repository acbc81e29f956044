"""The wire: several commands as one write, their replies in order. Touches Redis.

redis-py's own path from a command to its connection costs as much as the round trip itself: retries, hooks
and metrics that are not wanted here. This is the same connection, pool and parser without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
from redis.exceptions import ResponseError

Argument = str | bytes | int
Command = tuple[Argument, ...]


class Wire:
    """One server, over the connection pool of *client*."""

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool

    def trip(self, commands: Sequence[Command]) -> list[Any]:
        """Send *commands* once, in one write, and return their replies; a refused one's reply is its error.

        Raises:
            redis.RedisError: any of them may or may not have run.
        """
        connection = self._pool.get_connection()
        try:
            packed = connection.pack_commands(commands)  # type: ignore[no-untyped-call]
            connection.send_packed_command(packed, check_health=False)  # type: ignore[no-untyped-call]
            return [_reply(connection) for _ in commands]
        except BaseException:
            # A reply that is still to come must never be read as the answer to somebody else's command.
            connection.disconnect()  # type: ignore[no-untyped-call]
            raise
        finally:
            self._pool.release(connection)


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
