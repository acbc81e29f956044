"""Outages: background work that fails reports when its outage begins and ends, not every failure.

Writes events and reads the monotonic clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from otp_service import forks
from otp_service.services.interfaces import EventLogger


class Outages:
    """Tracks which background jobs fail. The outage lasts until none of them does."""

    def __init__(self, events: EventLogger, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._events = events
        self._monotonic = monotonic
        self._failing: set[str] = set()
        self._began = 0.0
        self._restart()
        forks.call_in_child(self._restart)

    def _restart(self) -> None:
        self._lock = threading.Lock()

    def failed(self, job: str, kind: str) -> None:
        """Record a failure of *job*; only the first failure of an outage is a warning."""
        self._events.emit("background_redis_error", job=job, kind=kind)
        with self._lock:
            is_first = not self._failing
            self._failing.add(job)
            if is_first:
                self._began = self._monotonic()
        if is_first:
            self._events.emit("redis_outage", state="began", job=job, kind=kind)

    def succeeded(self, job: str) -> None:
        """Record a success of *job*."""
        if job not in self._failing:
            return
        with self._lock:
            self._failing.discard(job)
            is_over = not self._failing
            seconds = round(self._monotonic() - self._began)
        if is_over:
            self._events.emit("redis_outage", state="ended", job=job, seconds=seconds)
