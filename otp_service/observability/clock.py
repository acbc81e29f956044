"""The operating system's wall clock and monotonic clock."""

from __future__ import annotations

import time


class SystemClock:
    """Implements `interfaces.Clock`."""

    def now(self) -> float:
        """Return the time in Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds from a clock that never goes backwards."""
        return time.monotonic()
