"""The operating system's wall clock and monotonic clock."""

from __future__ import annotations

import time


class SystemClock:
    """Implements `interfaces.Clock`."""

    now = staticmethod(time.time)
    """Returns the time in Unix seconds."""

    monotonic = staticmethod(time.monotonic)
    """Returns seconds from a clock that never goes backwards."""
