"""The limit of concurrent sends, each of which runs in the thread that requests it.

A provider that stalls blocks at most that many of a server's threads. No extra threads are needed, because
every provider returns by the deadline.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from otp_service import forks
from otp_service.domain.errors import ProviderUnavailable

RETRY_AFTER = 1


class Bulkhead:
    """Lets up to *max_in_flight* sends run at once, and waits for them when the process stops."""

    def __init__(self, max_in_flight: int) -> None:
        self.max_in_flight = max_in_flight
        self.is_closed = False
        self._is_closing = False
        self._restart()
        forks.call_in_child(self._restart)

    def _restart(self) -> None:
        """Start with nothing in flight. After a fork, the parent's sends continue in the parent."""
        self._changed = threading.Condition()
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """The number of permits in use."""
        return self._in_flight

    @contextmanager
    def permit(self) -> Iterator[None]:
        """Permit one send while the block runs, without waiting for a permit.

        Raises:
            ProviderUnavailable: too many sends are in flight, or the process is stopping.
        """
        with self._changed:
            if self._is_closing or self._in_flight >= self.max_in_flight:
                raise ProviderUnavailable(RETRY_AFTER)
            self._in_flight += 1
        try:
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def close(self, timeout: float) -> bool:
        """Give no more permits and wait for those in use; return whether all ended in *timeout* seconds.

        Then `is_closed` is set: nothing may be sent any more, with a permit or without.
        """
        with self._changed:
            self._is_closing = True
            drained = self._changed.wait_for(lambda: self._in_flight == 0, timeout)
        self.is_closed = True
        return drained
