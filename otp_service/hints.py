"""Hints: what the service notices of its callers and its operator should know. Touches nothing."""

from __future__ import annotations

from otp_service.errors import StoreUnavailable
from otp_service.ports import Clock, Events, Store

EVERY = 3600
"""Seconds: a client that goes on the same way is told of once in this time by each process."""


class Hints:
    """Tells of each thing once in a while; threads share it."""

    def __init__(self, store: Store, clock: Clock, events: Events) -> None:
        self._store = store
        self._clock = clock
        self._events = events
        self._told: dict[str, float] = {}

    def without_address(self, client: str) -> None:
        """Note that *client* asked for an SMS without naming the end user's address.

        The limits of addresses are then skipped, which nobody would notice otherwise.
        """
        now = self._clock.monotonic()
        if now - self._told.get(client, -EVERY) < EVERY:
            return
        self._told[client] = now
        self._events.emit("client_ip_missing", client=client)
        try:
            self._store.note_unaddressed(client)
        except StoreUnavailable:
            del self._told[client]  # a hint is worth no failed request; it comes with the next one
