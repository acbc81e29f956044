"""The cluster: which of its servers owns a key, and a flush that goes to several at once. Touches Redis.

A server that does not own a slot says so and has not run the command; only then is it sent again, once, to
the server that was named. What may have run is never sent again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, ClusterDownError, MaxConnectionsError, MovedError, ReadOnlyError

from otp_service.store.servers import routing_key
from otp_service.store.terms import Wait
from otp_service.store.url import Endpoint
from otp_service.store.wire import Command, Flight, Told, Wire

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


class ClusterServers:
    """Implements `servers.Servers`: the cluster that *seeds* belong to; *at* makes a wire."""

    is_cluster = True

    def __init__(self, seeds: Sequence[Endpoint], at: Callable[[Endpoint], Wire]) -> None:
        self._seeds = tuple(seeds)
        self._at = at
        self._wires: dict[Endpoint, Wire] = {}
        self._owners: list[Endpoint | None] = []
        self._is_stale = True
        self._asked_at = 0.0
        self._turn = 0

    # ── a flush ──

    def trip(self, commands: Sequence[Command], wait: Wait | None = None) -> Told:
        """See `servers.Servers.trip`. The error of a server is the reply to all that it was told."""
        self._refresh_if_stale()
        replies: list[Any] = [NoOwner()] * len(commands)
        lasts = self._fly(self._by_owner(commands), replies, wait)
        if any(map(_is_outdated, replies)):
            self._is_stale = True
        if redirected := _by_redirection(commands, replies):
            lasts &= self._fly(redirected, replies, wait)
        return Told(replies, lasts)

    def _by_owner(self, commands: Sequence[Command]) -> Orders:
        orders: Orders = {}
        for place, command in enumerate(commands):
            if owner := self._owners[_slot(routing_key(command))]:
                _order(orders, owner, command, place)
        return orders

    def _fly(self, orders: Orders, replies: list[Any], wait: Wait | None) -> bool:
        """Send *orders* to all their servers, then put what those say into *replies*."""
        flights: list[tuple[list[int | None], Flight]] = []
        lasts = True
        try:
            for endpoint, (commands, places) in orders.items():
                with self._noting(places, replies):
                    flights.append((places, self._wire(endpoint).begin(commands, wait)))
            for places, flight in flights:
                with self._noting(places, replies):
                    told = flight.end()
                    _put(places, told.replies, replies)
                    lasts &= told.lasts
        finally:
            for _, flight in flights:
                flight.drop()
        return lasts

    @contextmanager
    def _noting(self, places: list[int | None], replies: list[Any]) -> Iterator[None]:
        """Put an error of one server where its replies belong: the other servers are heard all the same."""
        try:
            yield
        except redis.RedisError as error:
            _put(places, [error] * len(places), replies)
            self._is_stale |= not isinstance(error, MaxConnectionsError)

    # ── the map ──

    def masters(self) -> list[Wire]:
        """See `servers.Servers.masters`."""
        self._refresh()
        if None in self._owners:
            raise NoOwner
        return [self._wire(owner) for owner in dict.fromkeys(self._owners) if owner]

    def owner(self, key: str) -> Wire:
        """See `servers.Servers.owner`."""
        self._refresh_if_stale()
        endpoint = self._owners[_slot(key)]
        if endpoint is None:
            raise NoOwner
        return self._wire(endpoint)

    def close(self) -> None:
        """See `servers.Servers.close`."""
        for wire in tuple(self._wires.values()):
            wire.close()

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
                (told,) = self._wire(endpoint).trip([("CLUSTER", "SLOTS")]).replies
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
        known = list(dict.fromkeys([*self._wires, *self._seeds]))
        first = self._turn % len(known)
        return [*known[first:], *known[:first]][:ASKED_AT_MOST]

    def _learn(self, told: Sequence[Sequence[Any]], host: str) -> None:
        """Take over what `CLUSTER SLOTS` says; a server that does not know its address has that of *host*."""
        owners: list[Endpoint | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        for first, last, (name, port, *_), *_ in told:
            owners[first : last + 1] = [((name or b"").decode() or host, port)] * (last + 1 - first)
        self._owners, self._is_stale = owners, False
        masters = set(owners)
        self._wires = {endpoint: wire for endpoint, wire in self._wires.items() if endpoint in masters}

    def _wire(self, endpoint: Endpoint) -> Wire:
        wire = self._wires.get(endpoint)
        return wire or self._wires.setdefault(endpoint, self._at(endpoint))


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


def _slot(key: str) -> int:
    return key_slot(key.encode())
