"""What the sandbox takes for a clock; `utc_now` reads the machine's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

#: Tells the time, with a time zone.
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Read the machine's clock."""
    return datetime.now(UTC)
