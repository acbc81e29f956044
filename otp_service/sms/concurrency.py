"""The bulkhead: a limit of concurrent sends, each of which runs in the thread that requests it.

A provider that stalls holds at most that many of a server's threads. No extra threads are needed, because a
provider returns at the deadline by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from otp_service import forks
from otp_service.domain.errors import ProviderUnavailable
from otp_service.domain.messages import FailureCause, SendResult, SmsMessage
from otp_service.services.interfaces import EventLogger
from otp_service.sms.provider import outcome_unknown, rejected

T = TypeVar("T")

Deliver = Callable[[SmsMessage, float], SendResult]

RETRY_AFTER = 1
NOT_STARTED = rejected(FailureCause.PROVIDER, "not_started", retry_after=RETRY_AFTER)
"""The provider was certainly not called."""


class Bulkhead:
    """Issues up to *max_in_flight* permits for *deliver*, which must return at its deadline."""

    def __init__(self, deliver: Deliver, *, max_in_flight: int, events: EventLogger) -> None:
        self.max_in_flight = max_in_flight
        self._deliver = deliver
        self._events = events
        self._is_closing = False
        self._is_closed = False
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

    def permit(self) -> Permit:
        """Return a permit for one send, without waiting for one.

        Raises:
            ProviderUnavailable: too many sends are in flight, or the process is stopping.
        """
        if not self._acquire():
            raise ProviderUnavailable(RETRY_AFTER)
        return Permit(self)

    def close(self, timeout: float) -> bool:
        """Issue no more permits and wait for those in use; return whether all ended in *timeout* seconds."""
        with self._changed:
            self._is_closing = True
            drained = self._changed.wait_for(lambda: self._in_flight == 0, timeout)
        self._is_closed = True
        return drained

    def release(self) -> None:
        """Release a permit."""
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def send(self, sms: SmsMessage, deadline: float) -> SendResult:
        """Send *sms* as `interfaces.SendPermit.send` specifies, and release the permit."""
        try:
            return NOT_STARTED if self._is_closed else self._deliver(sms, deadline)
        except Exception as error:  # noqa: BLE001 - the SMS may have been sent, so the outcome is unknown
            self._log_exception(error)
            return outcome_unknown("crashed")
        finally:
            self.release()

    def run_lookup(self, lookup: Callable[[], T]) -> T | None:
        """Run *lookup* under a permit; return None if there was no permit or the lookup failed."""
        if not self._acquire():
            return None
        try:
            return lookup()
        except Exception as error:  # noqa: BLE001 - a lookup that fails found nothing
            self._log_exception(error)
            return None
        finally:
            self.release()

    def _acquire(self) -> bool:
        with self._changed:
            if self._is_closing or self._in_flight >= self.max_in_flight:
                return False
            self._in_flight += 1
            return True

    def _log_exception(self, error: Exception) -> None:
        """Log the type only: the text of an exception may contain the number and the code."""
        self._events.emit("provider_exception", error=type(error).__name__)


class Permit:
    """A permit for one send; implements `interfaces.SendPermit`."""

    def __init__(self, bulkhead: Bulkhead) -> None:
        self._bulkhead = bulkhead
        self._used = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._used:
            self._used = True
            self._bulkhead.release()

    def send(self, sms: SmsMessage, deadline: float) -> SendResult:
        """Send *sms* once. A permit that was used before sends nothing."""
        if self._used:
            return NOT_STARTED
        self._used = True
        return self._bulkhead.send(sms, deadline)
