"""One HTTP request on its way, as the connection that carries it sees it; reads the monotonic clock.

The trip stands in a context variable because requests and urllib3 have no place where it could be handed down
to the connection.
"""

from __future__ import annotations

import time
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self


class Trip:
    """Knows whether any byte of the request may have left, and when its answer is due.

    It is the trip of the thread that has entered it.
    """

    def __init__(self, *, seconds: float, read_seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self._read_seconds = read_seconds
        self._before: Token[Trip] | None = None
        self.departed = False

    def __enter__(self) -> Self:
        self._before = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            _current.reset(self._before)

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


def current() -> Trip:
    """Return the trip of this thread.

    Raises:
        LookupError: none is under way.
    """
    return _current.get()


def is_under_way() -> bool:
    """Tell whether this thread is on a trip."""
    return _current.get(None) is not None
