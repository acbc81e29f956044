"""Waiting for something that another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], seconds: float = 5.0) -> bool:
    """Wait until *condition* is true, for at most *seconds*; return whether it is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.001)
    return False


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until *condition* is true.

    Raises:
        AssertionError: It is still false after *seconds*.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.02)
