"""A Redis Cluster: finds the server that owns a key, and sends one pipeline to several servers at once.

A server that does not own a slot does not run the command; it names the server to ask instead. Only then is
the command sent again, once, to that server. The pipeline of redis-py's `RedisCluster` cannot be used: after
a lost reply it sends the command again, and a script would run twice.
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

MAX_QUERIED_NODES = 3
"""Servers that are asked for the slot map before a call gives up."""

MIN_REFRESH_INTERVAL = 0.1
"""Minimum seconds between two refreshes of the slot map, however many calls fail in between."""

_Batches = dict[Endpoint, tuple[list[Command], list[int | None]]]
"""The commands for each server, and the index of each reply in the result; None for a reply to ignore."""


class NoOwner(ClusterDownError):
    """No server of the cluster takes writes for a hash slot."""

    def __init__(self) -> None:
        super().__init__("no owner")


class _SentPipeline:
    """Commands that were sent to *node* in one write and whose replies have not been read.

    It splits redis-py's pipeline into its steps, so that the next server gets its commands before the first
    one has replied.

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
        """Return the replies and release the connection.

        Raises:
            redis.RedisError: any of the commands may or may not have run.
        """
        result = pipeline_result([self._reply(command) for command in self._commands], self._wait)
        self._client.connection_pool.release(self._connection)
        self._connection = None
        return result

    def close(self) -> None:
        """Close the connection unless all replies were read, so that no other command reads them."""
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
    """The cluster that *seeds* belong to. *make_node* creates a node. Implements `RedisBackend`."""

    is_cluster = True

    def __init__(self, seeds: Sequence[Endpoint], make_node: Callable[[Endpoint], RedisNode]) -> None:
        self._seeds = tuple(seeds)
        self._make_node = make_node
        self._nodes: dict[Endpoint, RedisNode] = {}
        self._owners: list[Endpoint | None] = []
        self._is_stale = True
        self._refreshed_at = 0.0
        self._next_candidate = 0

    # ── pipelines ──

    def execute(self, commands: Sequence[Command], wait: ReplicationWait | None = None) -> PipelineResult:
        """See `RedisBackend.execute`. An error of a server is the reply to each of its commands."""
        self._refresh_if_stale()
        replies: list[Any] = [NoOwner()] * len(commands)
        replicated = self._run(self._by_owner(commands), replies, wait)
        if any(map(_is_outdated, replies)):
            self._is_stale = True
        if redirected := _by_redirection(commands, replies):
            replicated &= self._run(redirected, replies, wait)
        return PipelineResult(replies, replicated)

    def _by_owner(self, commands: Sequence[Command]) -> _Batches:
        batches: _Batches = {}
        for place, command in enumerate(commands):
            if owner := self._owners[_slot(_routing_key(command))]:
                _add_command(batches, owner, command, place)
        return batches

    def _run(self, batches: _Batches, replies: list[Any], wait: ReplicationWait | None) -> bool:
        """Send *batches* to their servers, then put the results into *replies*."""
        sent: list[tuple[list[int | None], _SentPipeline]] = []
        replicated = True
        try:
            for endpoint, (commands, places) in batches.items():
                with self._recording_errors(places, replies):
                    sent.append((places, _SentPipeline(self._node(endpoint), commands, wait)))
            for places, pipeline in sent:
                with self._recording_errors(places, replies):
                    result = pipeline.read()
                    _put(places, result.replies, replies)
                    replicated &= result.replicated
        finally:
            for _, pipeline in sent:
                pipeline.close()
        return replicated

    @contextmanager
    def _recording_errors(self, places: list[int | None], replies: list[Any]) -> Iterator[None]:
        """Put an error of one server in place of its replies; the other servers' replies are still read."""
        try:
            yield
        except redis.RedisError as error:
            _put(places, [error] * len(places), replies)
            self._is_stale |= not isinstance(error, MaxConnectionsError)

    # ── the slot map ──

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
        elif self._is_stale and time.monotonic() - self._refreshed_at > MIN_REFRESH_INTERVAL:
            try:
                self._refresh()
            except redis.RedisError:
                return  # the known map may still be right for most keys

    def _refresh(self) -> None:
        self._refreshed_at = time.monotonic()
        error: redis.RedisError = NoOwner()
        for endpoint in self._candidates():
            try:
                (slots,) = self._node(endpoint).execute([("CLUSTER", "SLOTS")]).replies
            except redis.RedisError as failure:
                error = failure
                self._next_candidate += 1
                continue
            if isinstance(slots, redis.RedisError):
                raise slots
            self._update_map(slots, endpoint[0])
            return
        raise error

    def _candidates(self) -> list[Endpoint]:
        """Return the servers to ask now; one that failed is asked last."""
        known = list(dict.fromkeys([*self._nodes, *self._seeds]))
        first = self._next_candidate % len(known)
        return [*known[first:], *known[:first]][:MAX_QUERIED_NODES]

    def _update_map(self, slots: Sequence[Sequence[Any]], host: str) -> None:
        """Apply a reply to `CLUSTER SLOTS`. A server that does not know its own host is at *host*."""
        owners: list[Endpoint | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        for first, last, (name, port, *_), *_ in slots:
            owners[first : last + 1] = [((name or b"").decode() or host, port)] * (last + 1 - first)
        self._owners, self._is_stale = owners, False
        masters = set(owners)
        self._nodes = {endpoint: node for endpoint, node in self._nodes.items() if endpoint in masters}

    def _node(self, endpoint: Endpoint) -> RedisNode:
        node = self._nodes.get(endpoint)
        return node or self._nodes.setdefault(endpoint, self._make_node(endpoint))


def _by_redirection(commands: Sequence[Command], replies: Sequence[Any]) -> _Batches:
    """Return the commands that were not run, by the server that their replies name; some name no host."""
    batches: _Batches = {}
    for place, reply in enumerate(replies):
        if isinstance(reply, AskError) and reply.host:
            endpoint = reply.host, reply.port
            if not isinstance(reply, MovedError):
                _add_command(batches, endpoint, ("ASKING",), None)
            _add_command(batches, endpoint, commands[place], place)
    return batches


def _add_command(batches: _Batches, endpoint: Endpoint, command: Command, place: int | None) -> None:
    commands, places = batches.setdefault(endpoint, ([], []))
    commands.append(command)
    places.append(place)


def _put(places: Sequence[int | None], results: Sequence[Any], replies: list[Any]) -> None:
    for place, reply in zip(places, results, strict=True):
        if place is not None:
            replies[place] = reply


def _is_outdated(reply: object) -> bool:
    """Return whether *reply* contradicts the slot map."""
    return isinstance(reply, MovedError | ClusterDownError | ReadOnlyError)


def _routing_key(command: Command) -> str:
    """Return the key whose server must run *command*; all keys of a command share one hash slot."""
    return str(command[3] if command[0] in {"EVALSHA", "EVAL"} else command[1])


def _slot(key: str) -> int:
    return key_slot(key.encode())
