"""Sentinels: they are asked where the master is, and again when it seems to have changed. Touches Redis."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import redis
from redis.exceptions import MaxConnectionsError, ReadOnlyError

from otp_service.store.terms import Wait
from otp_service.store.url import Endpoint
from otp_service.store.wire import Command, Told, Wire

_REFUSES_REPLICAS = "NOREPLICAS"
"""What a master says that was cut off from its replicas, and may have been replaced."""


class NoMaster(redis.ConnectionError):
    """No Sentinel knows a master of this name."""


class SentinelServers:
    """Implements `servers.Servers`: the master called *name*, as *sentinels* know it; *at* makes a wire."""

    is_cluster = False

    def __init__(self, name: str, sentinels: Sequence[Wire], at: Callable[[Endpoint], Wire]) -> None:
        self._name = name
        self._sentinels = deque(sentinels)
        self._at = at
        self._wires: dict[Endpoint, Wire] = {}
        self._master: Wire | None = None

    def trip(self, commands: Sequence[Command], wait: Wait | None = None) -> Told:
        """See `servers.Servers.trip`."""
        master = self._master or self._find()
        try:
            told = master.trip(commands, wait)
        except MaxConnectionsError:
            raise
        except redis.RedisError:
            self._doubt()
            raise
        if not told.lasts or any(map(_is_deposed, told.replies)):
            self._doubt()
        return told

    def masters(self) -> list[Wire]:
        """See `servers.Servers.masters`."""
        return [self._find()]

    def owner(self, _: str) -> Wire:
        """See `servers.Servers.owner`."""
        return self._master or self._find()

    def close(self) -> None:
        """See `servers.Servers.close`."""
        for wire in (*self._sentinels, *self._wires.values()):
            wire.close()

    def _doubt(self) -> None:
        """Ask before the next trip, and another Sentinel first: this one may be cut off itself."""
        self._master = None
        self._sentinels.rotate(-1)

    def _find(self) -> Wire:
        for sentinel in tuple(self._sentinels):
            try:
                (reply,) = sentinel.trip([("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name)]).replies
            except redis.RedisError:
                continue
            if isinstance(reply, list):
                host, port = reply
                self._master = self._wire((host.decode(), int(port)))
                return self._master
        raise NoMaster

    def _wire(self, endpoint: Endpoint) -> Wire:
        """Return the wire to *endpoint*; of those before it nothing is kept."""
        wire = self._wires.get(endpoint) or self._at(endpoint)
        self._wires = {endpoint: wire}
        return wire


def _is_deposed(reply: object) -> bool:
    return isinstance(reply, ReadOnlyError) or (
        isinstance(reply, redis.ResponseError) and str(reply).startswith(_REFUSES_REPLICAS)
    )
