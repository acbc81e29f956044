"""Warnings for the operator about callers, proxies and clocks."""

from __future__ import annotations

from collections.abc import Callable

from otp_service.domain.errors import StoreUnavailable
from otp_service.services.interfaces import Clock, EventLogger, Store

EVERY = 3600
"""Seconds: each process emits the same warning at most once in this time."""

SKEW = 60
"""Seconds by which our clock may differ from the store's before we warn: proofs are dated by our clock."""

_CLOCK = ""
_PROXY = "X-Forwarded-For"
"""Keys of the warnings that do not belong to a client. No client can have such a name."""


class OperatorWarnings:
    """Emits each warning at most once in `EVERY` seconds. Thread-safe."""

    def __init__(self, store: Store, clock: Clock, events: EventLogger) -> None:
        self._store = store
        self._clock = clock
        self._events = events
        self._emitted_at: dict[str, float] = {}
        self._unstored: set[str] = set()

    def missing_client_ip(self, client: str) -> None:
        """Warn that *client* requested an SMS without the end user's IP address.

        The limits per IP address are then skipped, which would otherwise go unnoticed.
        """
        if self._is_due(client):
            self._events.emit("client_ip_missing", client=client)
            self._unstored.add(client)
        self._store_once(client, lambda: self._store.mark_missing_client_ip(client))

    def unreadable_ip(self) -> None:
        """Warn that a trusted proxy sent no valid IP address in `X-Forwarded-For`.

        The proxy's own address then counts, so that all users behind it share the limits of one address.
        """
        if self._is_due(_PROXY):
            self._events.emit("client_ip_unreadable")
            self._unstored.add(_PROXY)
        self._store_once(_PROXY, self._store.mark_unreadable_client_ip)

    def clock_skew(self, store_now: float) -> None:
        """Warn if our clock differs too much from *store_now* (unix seconds, by the store's clock)."""
        ahead = self._clock.now() - store_now
        if abs(ahead) > SKEW and self._is_due(_CLOCK):
            self._events.emit("clock_skew", seconds=round(ahead))

    def _store_once(self, what: str, mark: Callable[[], None]) -> None:
        if what not in self._unstored:
            return
        try:
            mark()
        except StoreUnavailable:
            return  # a warning must not fail a request; the next request tries again
        self._unstored.discard(what)

    def _is_due(self, what: str) -> bool:
        now = self._clock.monotonic()
        if now - self._emitted_at.get(what, -EVERY) < EVERY:
            return False
        self._emitted_at[what] = now
        return True
