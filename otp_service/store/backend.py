"""Runs commands on one Redis server, or on the primary that Sentinels name.

A command is sent only once, because a script that ran twice would count twice. So a lost reply is an error,
and nothing is sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import redis
from redis.exceptions import MaxConnectionsError, ReadOnlyError
from redis.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool

Argument = str | bytes | int
Command = tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class ReplicationWait:
    """Wait until *replicas* replicas have acknowledged a write, for at most *seconds*."""

    replicas: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """The *replies* to a pipeline, in order; a refused command's reply is its error.

    *replicated* is False if fewer replicas than required acknowledged the writes in time.
    """

    replies: list[Any]
    replicated: bool = True

    def raise_errors(self) -> list[Any]:
        """Return the replies.

        Raises:
            redis.RedisError: one of them is an error.
        """
        for reply in self.replies:
            if isinstance(reply, Exception):
                raise reply
        return self.replies


class RedisBackend(Protocol):
    """Where the data is: one server, the primary of a Sentinel group, or a cluster. Thread-safe."""

    is_cluster: bool

    def execute(self, commands: Sequence[Command], wait: ReplicationWait | None = None) -> PipelineResult:
        """Send each command once, in one pipeline for each server that owns some of their keys.

        With *wait*, each of these servers also waits for its replicas.

        Raises:
            redis.RedisError: any of the commands may or may not have run.
        """
        ...

    def primaries(self) -> Sequence[RedisNode]:
        """Return every server that takes writes, as known now to Sentinels or the cluster.

        Raises:
            redis.RedisError: the servers cannot be determined, or some keys have no such server.
        """
        ...

    def node_for(self, key: str) -> RedisNode:
        """Return the server that owns *key*.

        Raises:
            redis.RedisError: none does.
        """
        ...

    def close(self) -> None:
        """Close idle connections."""
        ...


class RedisNode:
    """The one server of a redis-py *client*. Implements `RedisBackend`."""

    is_cluster = False

    def __init__(self, client: redis.Redis) -> None:
        self.client = client

    def execute(self, commands: Sequence[Command], wait: ReplicationWait | None = None) -> PipelineResult:
        """See `RedisBackend.execute`."""
        pipeline = self.client.pipeline(transaction=False)
        for command in with_wait(commands, wait):
            pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
        result = pipeline_result(pipeline.execute(raise_on_error=False), wait)
        if any(isinstance(reply, ReadOnlyError) for reply in result.replies):
            # The server has become a replica: its host name may now resolve to another server.
            self.client.connection_pool.disconnect(inuse_connections=False)
        return result

    def primaries(self) -> Sequence[RedisNode]:
        """See `RedisBackend.primaries`."""
        return [self]

    def node_for(self, _: str) -> RedisNode:
        """See `RedisBackend.node_for`."""
        return self

    def close(self) -> None:
        """See `RedisBackend.close`."""
        self.client.connection_pool.disconnect(inuse_connections=False)


class MasterFinder(Sentinel):
    """Finds a master by GET-MASTER-ADDR-BY-NAME, the only command that `redis-acl --sentinel` allows.

    redis-py's own `discover_master` needs SENTINEL MASTERS. *sentinels* are clients of the Sentinels.
    """

    def __init__(self, sentinels: Sequence[redis.Redis]) -> None:
        super().__init__([], sentinel_kwargs={})  # type: ignore[no-untyped-call]
        self.sentinels = list(sentinels)

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return the address of the master, from the first Sentinel that knows it.

        Raises:
            MasterNotFoundError: none knows it; its cause is an error if no Sentinel answered.
        """
        failure: redis.RedisError | None = None
        has_answered = False
        for sentinel in tuple(self.sentinels):
            try:
                address: Any = sentinel.sentinel_get_master_addr_by_name(service_name)
            except redis.RedisError as error:
                failure = error
                continue
            if address:
                host, port = address
                return host.decode(), int(port)
            has_answered = True
        raise MasterNotFoundError from (None if has_answered else failure)

    def ask_another_first(self) -> None:
        """Move the first Sentinel to the end of the list: it may itself be cut off."""
        first, *rest = self.sentinels
        self.sentinels = [*rest, first]


class SentinelNode(RedisNode):
    """The master of a *client* made by `Sentinel.master_for`. Implements `RedisBackend`.

    redis-py asks the Sentinels for every new connection. After a sign of a failover, it also asks them before
    the next call; if the master has changed, it closes the idle connections to the old one.
    """

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self._pool = cast("SentinelConnectionPool", client.connection_pool)
        self._finder = cast("MasterFinder", self._pool.sentinel_manager)
        self._must_discover = False

    def execute(self, commands: Sequence[Command], wait: ReplicationWait | None = None) -> PipelineResult:
        """See `RedisBackend.execute`."""
        if self._must_discover:
            self._discover_master()
        try:
            result = super().execute(commands, wait)
        except MaxConnectionsError:
            raise
        except redis.RedisError:
            self._suspect()
            raise
        if not result.replicated or any(map(_lacks_replicas, result.replies)):
            self._suspect()
        return result

    def primaries(self) -> Sequence[RedisNode]:
        """See `RedisBackend.primaries`."""
        self._discover_master()
        return [self]

    def close(self) -> None:
        """See `RedisBackend.close`."""
        super().close()
        self._finder.close()

    def _suspect(self) -> None:
        self._must_discover = True
        self._finder.ask_another_first()

    def _discover_master(self) -> None:
        self._must_discover = False
        try:
            self._pool.get_master_address()  # type: ignore[no-untyped-call]
        except redis.RedisError:
            self._suspect()
            raise


def backend_of(given: redis.Redis | RedisBackend) -> RedisBackend:
    """Return *given* if it is a backend, or else the backend of the one server that it connects to."""
    return RedisNode(given) if isinstance(given, redis.Redis) else given


def with_wait(commands: Sequence[Command], wait: ReplicationWait | None) -> Sequence[Command]:
    """Return *commands*, followed by WAIT if replicas must acknowledge them."""
    return [*commands, ("WAIT", wait.replicas, round(wait.seconds * 1000))] if wait else commands


def pipeline_result(replies: list[Any], wait: ReplicationWait | None) -> PipelineResult:
    """Return the result of a pipeline made by `with_wait`."""
    if wait is None:
        return PipelineResult(replies)
    *others, acknowledged = replies
    return PipelineResult(others, isinstance(acknowledged, int) and acknowledged >= wait.replicas)


def _lacks_replicas(reply: object) -> bool:
    """Return whether a primary refused a write because it lost its replicas; it may be replaced."""
    return isinstance(reply, redis.ResponseError) and str(reply).startswith("NOREPLICAS")
