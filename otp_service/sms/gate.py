"""The gate: how many sends may be in flight. Touches nothing but locks."""

from __future__ import annotations

import threading


class Gate:
    """Counts places out and back in; a closed gate gives none.

    What an *elder* gate still counts fills places too: the threads that wait are the same.
    """

    def __init__(self, places: int, elder: Gate | None = None) -> None:
        self._changed = threading.Condition()
        self._places = places
        self._taken = 0
        self._closed = False
        self._elder = elder

    @property
    def places(self) -> int:
        """How many there are."""
        return self._places

    @property
    def taken(self) -> int:
        """How many are taken, those of the elder gate among them."""
        elder = self._elder
        if elder is None:
            return self._taken
        of_elder = elder.taken
        if not of_elder and elder.is_closed:
            self._elder = None  # it counts no more
        return self._taken + of_elder

    @property
    def is_closed(self) -> bool:
        """Whether it gives no more places."""
        return self._closed

    def take(self) -> bool:
        """Take a place, without waiting; tell whether there was one."""
        with self._changed:
            if self._closed or self.taken >= self._places:
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
