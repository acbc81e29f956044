"""One HTTP request on its way, as the connection that carries it sees it; reads the monotonic clock.

The trip stands in a context variable because requests and urllib3 have no place where it could be handed down
to the connection.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Trip:
    """Knows whether any byte of the request may have left, and when its answer is due."""

    def __init__(self, *, seconds: float, read_seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self._read_seconds = read_seconds
        self.departed = False

    def depart(self) -> None:
        """Mark that bytes leave from now on; the time for the answer begins.

        Raises:
            TimeoutError: connecting took all the time; nothing has left, and nothing may.
        """
        now = time.monotonic()
        if self.departed:
            return
        if now >= self._ends_at:
            raise TimeoutError
        self.departed = True
        self._ends_at = min(self._ends_at, now + self._read_seconds)

    def left(self) -> float:
        """Return the seconds left for the answer.

        Raises:
            TimeoutError: there are none.
        """
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


_current: ContextVar[Trip] = ContextVar("trip")


@contextmanager
def under_way(trip: Trip) -> Iterator[None]:
    """Make *trip* the one of this thread."""
    token = _current.set(trip)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Trip:
    """Return the trip of this thread.

    Raises:
        LookupError: none is under way.
    """
    return _current.get()


def is_under_way() -> bool:
    """Tell whether this thread is on a trip."""
    return _current.get(None) is not None
