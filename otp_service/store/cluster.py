"""A Redis Cluster: finds the server that owns a key, and sends one pipeline to several servers at once.

A server that does not own a slot says so and has not run the command. Only then is the command sent again,
once, to the server that was named. The pipeline of redis-py's `RedisCluster` cannot be used: after a
lost reply it sends the command again, and a script would run twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, ClusterDownError, MaxConnectionsError, MovedError, ReadOnlyError

from otp_service.store.backend import (
    Command,
    PipelineResult,
    RedisNode,
    ReplicationWait,
    pipeline_result,
    with_wait,
)
from otp_service.store.url import Endpoint

ASKED_AT_MOST = 3
"""Servers that are asked for the map before a call gives up."""

ASK_SECONDS = 0.1
"""The map is asked for at most this often, however many calls meet a dead server meanwhile."""

Orders = dict[Endpoint, tuple[list[Command], list[int | None]]]
"""What each server is told, and where in the flush each reply belongs; None for one that nobody waits for."""


class NoOwner(ClusterDownError):
    """No server of the cluster takes writes for a slot."""

    def __init__(self) -> None:
        super().__init__("no owner")


class _SentPipeline:
    """*commands* that were sent to *node* in one write, and whose replies are still to be read.

    The steps of redis-py's own pipeline, taken apart: the next server gets its commands before the first one
    has replied.

    Raises:
        redis.RedisError: any of the commands may or may not have run.
    """

    def __init__(self, node: RedisNode, commands: Sequence[Command], wait: ReplicationWait | None) -> None:
        self._client: Any = node.client
        self._commands = with_wait(commands, wait)
        self._wait = wait
        connection: Any = self._client.connection_pool.get_connection()
        self._connection = connection
        try:
            connection.send_packed_command(connection.pack_commands(self._commands))
        except BaseException:
            self.close()
            raise

    def read(self) -> PipelineResult:
        """Return the replies and give the connection back.

        Raises:
            redis.RedisError: any of the commands may or may not have run.
        """
        result = pipeline_result([self._reply(command) for command in self._commands], self._wait)
        self._client.connection_pool.release(self._connection)
        self._connection = None
        return result

    def close(self) -> None:
        """Close the connection unless all replies were read: the next command must not read them."""
        if self._connection is not None:
            self._connection.disconnect()
            self._client.connection_pool.release(self._connection)
            self._connection = None

    def _reply(self, command: Command) -> Any:
        try:
            return self._client.parse_response(self._connection, str(command[0]))
        except redis.ResponseError as error:
            return error


class ClusterBackend:
    """Implements `RedisBackend`: the cluster that *seeds* belong to; *at* makes a node."""

    is_cluster = True

    def __init__(self, seeds: Sequence[Endpoint], at: Callable[[Endpoint], RedisNode]) -> None:
        self._seeds = tuple(seeds)
        self._at = at
        self._nodes: dict[Endpoint, RedisNode] = {}
        self._owners: list[Endpoint | None] = []
        self._is_stale = True
        self._asked_at = 0.0
        self._turn = 0

    # ── pipelines ──

    def execute(self, commands: Sequence[Command], wait: ReplicationWait | None = None) -> PipelineResult:
        """See `RedisBackend.execute`. The error of a server is the reply to all that it was told."""
        self._refresh_if_stale()
        replies: list[Any] = [NoOwner()] * len(commands)
        replicated = self._run(self._by_owner(commands), replies, wait)
        if any(map(_is_outdated, replies)):
            self._is_stale = True
        if redirected := _by_redirection(commands, replies):
            replicated &= self._run(redirected, replies, wait)
        return PipelineResult(replies, replicated)

    def _by_owner(self, commands: Sequence[Command]) -> Orders:
        orders: Orders = {}
        for place, command in enumerate(commands):
            if owner := self._owners[_slot(_routing_key(command))]:
                _order(orders, owner, command, place)
        return orders

    def _run(self, orders: Orders, replies: list[Any], wait: ReplicationWait | None) -> bool:
        """Send *orders* to all their servers, then put what those say into *replies*."""
        sent: list[tuple[list[int | None], _SentPipeline]] = []
        replicated = True
        try:
            for endpoint, (commands, places) in orders.items():
                with self._noting(places, replies):
                    sent.append((places, _SentPipeline(self._node(endpoint), commands, wait)))
            for places, pipeline in sent:
                with self._noting(places, replies):
                    result = pipeline.read()
                    _put(places, result.replies, replies)
                    replicated &= result.replicated
        finally:
            for _, pipeline in sent:
                pipeline.close()
        return replicated

    @contextmanager
    def _noting(self, places: list[int | None], replies: list[Any]) -> Iterator[None]:
        """Put an error of one server where its replies belong: the other servers are heard all the same."""
        try:
            yield
        except redis.RedisError as error:
            _put(places, [error] * len(places), replies)
            self._is_stale |= not isinstance(error, MaxConnectionsError)

    # ── the map ──

    def primaries(self) -> list[RedisNode]:
        """See `RedisBackend.primaries`."""
        self._refresh()
        if None in self._owners:
            raise NoOwner
        return [self._node(owner) for owner in dict.fromkeys(self._owners) if owner]

    def node_for(self, key: str) -> RedisNode:
        """See `RedisBackend.node_for`."""
        self._refresh_if_stale()
        endpoint = self._owners[_slot(key)]
        if endpoint is None:
            raise NoOwner
        return self._node(endpoint)

    def close(self) -> None:
        """See `RedisBackend.close`."""
        for node in tuple(self._nodes.values()):
            node.close()

    def _refresh_if_stale(self) -> None:
        if not self._owners:
            self._refresh()
        elif self._is_stale and time.monotonic() - self._asked_at > ASK_SECONDS:
            try:
                self._refresh()
            except redis.RedisError:
                return  # what is known may still do for most keys

    def _refresh(self) -> None:
        self._asked_at = time.monotonic()
        error: redis.RedisError = NoOwner()
        for endpoint in self._candidates():
            try:
                (told,) = self._node(endpoint).execute([("CLUSTER", "SLOTS")]).replies
            except redis.RedisError as failure:
                error = failure
                self._turn += 1
                continue
            if isinstance(told, redis.RedisError):
                raise told
            self._learn(told, endpoint[0])
            return
        raise error

    def _candidates(self) -> list[Endpoint]:
        """Return whom to ask now; who has failed last is asked last."""
        known = list(dict.fromkeys([*self._nodes, *self._seeds]))
        first = self._turn % len(known)
        return [*known[first:], *known[:first]][:ASKED_AT_MOST]

    def _learn(self, told: Sequence[Sequence[Any]], host: str) -> None:
        """Take over what `CLUSTER SLOTS` says; a server that does not know its address has that of *host*."""
        owners: list[Endpoint | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        for first, last, (name, port, *_), *_ in told:
            owners[first : last + 1] = [((name or b"").decode() or host, port)] * (last + 1 - first)
        self._owners, self._is_stale = owners, False
        masters = set(owners)
        self._nodes = {endpoint: node for endpoint, node in self._nodes.items() if endpoint in masters}

    def _node(self, endpoint: Endpoint) -> RedisNode:
        node = self._nodes.get(endpoint)
        return node or self._nodes.setdefault(endpoint, self._at(endpoint))


def _by_redirection(commands: Sequence[Command], replies: Sequence[Any]) -> Orders:
    """Return what was not run, for the servers that were named; the host of one may be missing."""
    orders: Orders = {}
    for place, reply in enumerate(replies):
        if isinstance(reply, AskError) and reply.host:
            endpoint = reply.host, reply.port
            if not isinstance(reply, MovedError):
                _order(orders, endpoint, ("ASKING",), None)
            _order(orders, endpoint, commands[place], place)
    return orders


def _order(orders: Orders, endpoint: Endpoint, command: Command, place: int | None) -> None:
    commands, places = orders.setdefault(endpoint, ([], []))
    commands.append(command)
    places.append(place)


def _put(places: Sequence[int | None], told: Sequence[Any], replies: list[Any]) -> None:
    for place, reply in zip(places, told, strict=True):
        if place is not None:
            replies[place] = reply


def _is_outdated(reply: object) -> bool:
    """Tell whether *reply* contradicts the map."""
    return isinstance(reply, MovedError | ClusterDownError | ReadOnlyError)


def _routing_key(command: Command) -> str:
    """Return the key whose server must run *command*; all keys of a command share one slot."""
    return str(command[3] if command[0] in {"EVALSHA", "EVAL"} else command[1])


def _slot(key: str) -> int:
    return key_slot(key.encode())
