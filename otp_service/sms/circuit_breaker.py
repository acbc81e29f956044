"""The circuit breaker of one route: a provider that does not answer is left alone."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from otp_service import forks

FAILURES = 5
WINDOW_SECONDS = 10.0
PROBE_SECONDS = 5.0


class CircuitBreaker:
    """Closed, until five sends in a row fail within ten seconds; then open, with a probe every five seconds.

    In a row, because on a busy route some failures in ten seconds are no outage. It knows no half-open state:
    letting a probe through sets the time of the next one, so a probe that never ends can't keep it shut.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._restart()
        forks.call_in_child(self._restart)
        self._failures: deque[float] = deque(maxlen=FAILURES)
        self._probe_at: float | None = None

    def _restart(self) -> None:
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether the route is being left alone."""
        return self._probe_at is not None

    def allow_request(self) -> bool:
        """Tell whether a send may go; while open, True makes it the probe."""
        with self._lock:
            if self._probe_at is None:
                return True
            if self._monotonic() < self._probe_at:
                return False
            self._probe_at = self._monotonic() + PROBE_SECONDS
            return True

    def wait(self) -> float:
        """Return the seconds until the next probe, 0 while closed."""
        with self._lock:
            return 0.0 if self._probe_at is None else max(0.0, self._probe_at - self._monotonic())

    def record_failure(self) -> bool:
        """Count a send that got no answer; tell whether that opened the breaker."""
        with self._lock:
            if self._probe_at is not None:
                return False
            now = self._monotonic()
            self._failures.append(now)
            if len(self._failures) < FAILURES or now - self._failures[0] > WINDOW_SECONDS:
                return False
            self._probe_at = now + PROBE_SECONDS
            return True

    def record_success(self) -> bool:
        """Note a send that was answered, whatever the answer; tell whether that closed the breaker."""
        with self._lock:
            was_open = self._probe_at is not None
            self._probe_at = None
            self._failures.clear()
            return was_open
