"""Hints: what the service notices of its callers and its operator should know. Touches nothing."""

from __future__ import annotations

from otp_service.errors import StoreUnavailable
from otp_service.ports import Clock, Events, Store

EVERY = 3600
"""Seconds: what goes on the same way is told of once in this time by each process."""

SKEW = 60
"""Seconds between our clock and the store's that nobody should be content with: proofs are dated by ours."""

_CLOCK = ""
"""What the clock is remembered as, which is no client's name."""


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
        if not self._is_due(client):
            return
        self._events.emit("client_ip_missing", client=client)
        try:
            self._store.note_unaddressed(client)
        except StoreUnavailable:
            del self._told[client]  # a hint is worth no failed request; it comes with the next one

    def clock(self, store_now: float) -> None:
        """Note that it is *store_now* (unix seconds) by the clock of the store."""
        ahead = self._clock.now() - store_now
        if abs(ahead) > SKEW and self._is_due(_CLOCK):
            self._events.emit("clock_skew", seconds=round(ahead))

    def _is_due(self, what: str) -> bool:
        now = self._clock.monotonic()
        if now - self._told.get(what, -EVERY) < EVERY:
            return False
        self._told[what] = now
        return True
