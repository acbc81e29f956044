"""Warnings for the operator about callers, proxies and clocks."""

from __future__ import annotations

from collections.abc import Callable

from otp_service.domain.errors import StoreUnavailable
from otp_service.services.interfaces import Clock, EventLogger, Store

EVERY = 3600
"""Seconds: what goes on the same way is told of once in this time by each process."""

SKEW = 60
"""Seconds between our clock and the store's that nobody should be content with: proofs are dated by ours."""

_CLOCK = ""
_PROXY = "X-Forwarded-For"
"""What the clock and proxies are remembered as, which are no clients' names."""


class OperatorWarnings:
    """Tells of each thing once in a while; threads share it."""

    def __init__(self, store: Store, clock: Clock, events: EventLogger) -> None:
        self._store = store
        self._clock = clock
        self._events = events
        self._told: dict[str, float] = {}
        self._unnoted: set[str] = set()

    def missing_client_ip(self, client: str) -> None:
        """Note that *client* asked for an SMS without naming the end user's address.

        The limits of addresses are then skipped, which nobody would notice otherwise.
        """
        if self._is_due(client):
            self._events.emit("client_ip_missing", client=client)
            self._unnoted.add(client)
        self._note(client, lambda: self._store.mark_missing_client_ip(client))

    def unreadable_ip(self) -> None:
        """Note that a trusted proxy has written something else than an address into `X-Forwarded-For`.

        The proxy's own address counts then, so that everybody behind it shares the limits of one address.
        """
        if self._is_due(_PROXY):
            self._events.emit("client_ip_unreadable")
            self._unnoted.add(_PROXY)
        self._note(_PROXY, self._store.mark_unreadable_client_ip)

    def clock_skew(self, store_now: float) -> None:
        """Note that it is *store_now* (unix seconds) by the clock of the store."""
        ahead = self._clock.now() - store_now
        if abs(ahead) > SKEW and self._is_due(_CLOCK):
            self._events.emit("clock_skew", seconds=round(ahead))

    def _note(self, what: str, note: Callable[[], None]) -> None:
        if what not in self._unnoted:
            return
        try:
            note()
        except StoreUnavailable:
            return  # a hint is not worth a failed request; the next one tries again
        self._unnoted.discard(what)

    def _is_due(self, what: str) -> bool:
        now = self._clock.monotonic()
        if now - self._told.get(what, -EVERY) < EVERY:
            return False
        self._told[what] = now
        return True
