"""The circuit breaker of one route: a provider that does not respond is not called for a while."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from otp_service import forks

FAILURES = 5
WINDOW_SECONDS = 10.0
PROBE_SECONDS = 5.0


class CircuitBreaker:
    """Opens after five consecutive failures within ten seconds, then allows a probe every five seconds.

    The failures must be consecutive: on a busy route, some failures in ten seconds are no outage. There is no
    half-open state. Allowing a probe sets the time of the next one, so a probe that never ends cannot keep
    the circuit open.
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
        """Whether the circuit is open."""
        return self._probe_at is not None

    def allow_request(self) -> bool:
        """Return whether a send is allowed. While the circuit is open, an allowed send is the probe."""
        with self._lock:
            if self._probe_at is None:
                return True
            if self._monotonic() < self._probe_at:
                return False
            self._probe_at = self._monotonic() + PROBE_SECONDS
            return True

    def wait(self) -> float:
        """Return the seconds until the next probe; 0 while the circuit is closed."""
        with self._lock:
            return 0.0 if self._probe_at is None else max(0.0, self._probe_at - self._monotonic())

    def record_failure(self) -> bool:
        """Record a send without a response; return whether that opened the circuit."""
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
        """Record a send with any response, even a refusal; return whether that closed the circuit."""
        with self._lock:
            was_open = self._probe_at is not None
            self._probe_at = None
            self._failures.clear()
            return was_open
