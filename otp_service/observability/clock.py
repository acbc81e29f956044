"""The clock of this machine. Touches the time."""

from __future__ import annotations

import time


class SystemClock:
    """Implements `interfaces.Clock`."""

    def now(self) -> float:
        """Return unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()
