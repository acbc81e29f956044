"""Servers: Redis as the store sees it, be it one server, Sentinels or a cluster. Touches nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import redis

from otp_service.store.terms import Wait
from otp_service.store.wire import Command, Told, Wire


class Servers(Protocol):
    """Where the data is. Threads share it."""

    is_cluster: bool

    def trip(self, commands: Sequence[Command], wait: Wait | None = None) -> Told:
        """Send each command once, in one write to every server that owns a key of them.

        With *wait*, every such server is asked to wait until its replicas have what was written.

        Raises:
            redis.RedisError: any of them may or may not have run.
        """
        ...

    def masters(self) -> Sequence[Wire]:
        """Return every server that takes writes, as far as can be found out now.

        Raises:
            redis.RedisError: it cannot be found out, or some keys have no such server.
        """
        ...

    def owner(self, key: str) -> Wire:
        """Return the server that owns *key*, as far as is known.

        Raises:
            redis.RedisError: there is none.
        """
        ...

    def close(self) -> None:
        """Let go of idle connections."""
        ...


def servers_of(given: redis.Redis | Servers) -> Servers:
    """Return *given*, or the one server that it is the client of."""
    return Wire(given) if isinstance(given, redis.Redis) else given


def routing_key(command: Command) -> str:
    """Return the key whose server must run *command*; all keys of a command share one slot."""
    return str(command[3] if command[0] in {"EVALSHA", "EVAL"} else command[1])
