"""The gate: how many sends may be in flight. Touches nothing but a lock."""

from __future__ import annotations

import threading


class Gate:
    """Counts places out and back in; a closed gate gives none."""

    def __init__(self, places: int) -> None:
        self._changed = threading.Condition()
        self._places = places
        self._taken = 0
        self._closed = False

    def take(self) -> bool:
        """Take a place, without waiting; tell whether there was one."""
        with self._changed:
            if self._closed or self._taken >= self._places:
                return False
            self._taken += 1
            return True

    def give_back(self) -> None:
        """Give a place back."""
        with self._changed:
            self._taken -= 1
            self._changed.notify_all()

    def close(self, timeout: float) -> bool:
        """Give no more places; tell whether all came back within *timeout* seconds."""
        with self._changed:
            self._closed = True
            return self._changed.wait_for(lambda: self._taken == 0, timeout)
