"""The bulkhead: a bounded number of sends in flight, each in the thread that asks for it.

A provider that stalls holds at most that many of a server's threads. No other threads are needed for it,
because a provider ends at the deadline by itself.
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
from otp_service.sms.provider import refused, unknown

T = TypeVar("T")

Deliver = Callable[[SmsMessage, float], SendResult]

RETRY_AFTER = 1
NOT_STARTED = refused(FailureCause.PROVIDER, "not_started", wait=RETRY_AFTER)
"""Nobody was asked to send it, for certain."""


class Bulkhead:
    """Gives out up to *max_in_flight* permits for *deliver*, which ends at the deadline that it is given."""

    def __init__(self, deliver: Deliver, *, max_in_flight: int, events: EventLogger) -> None:
        self.max_in_flight = max_in_flight
        self._deliver = deliver
        self._events = events
        self._is_closing = False
        self._is_closed = False
        self._begin()
        forks.call_in_child(self._begin)

    def _begin(self) -> None:
        """Begin with nothing in flight: the sends of a forked process's parent go on in the parent."""
        self._changed = threading.Condition()
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """How many permits are out."""
        return self._in_flight

    def permit(self) -> Permit:
        """Return the right to one send, without waiting for it.

        Raises:
            ProviderUnavailable: too many sends are in flight, or the process is stopping.
        """
        if not self._take():
            raise ProviderUnavailable(RETRY_AFTER)
        return Permit(self)

    def close(self, timeout: float) -> bool:
        """Refuse new permits and wait for the old ones; tell whether all ended within *timeout* seconds."""
        with self._changed:
            self._is_closing = True
            drained = self._changed.wait_for(lambda: self._in_flight == 0, timeout)
        self._is_closed = True
        return drained

    def give_back(self) -> None:
        """Take a permit back."""
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def send(self, sms: SmsMessage, deadline: float) -> SendResult:
        """Do what `interfaces.SendPermit.send` promises, and take the permit back."""
        try:
            return NOT_STARTED if self._is_closed else self._deliver(sms, deadline)
        except Exception as error:  # noqa: BLE001 - whether the SMS left is not known, and the caller waits
            self._tell_crash(error)
            return unknown("crashed")
        finally:
            self.give_back()

    def ask(self, question: Callable[[], T]) -> T | None:
        """Have *question* answered under a permit of its own; None when it was not."""
        if not self._take():
            return None
        try:
            return question()
        except Exception as error:  # noqa: BLE001 - a question that fails was not answered
            self._tell_crash(error)
            return None
        finally:
            self.give_back()

    def _take(self) -> bool:
        with self._changed:
            if self._is_closing or self._in_flight >= self.max_in_flight:
                return False
            self._in_flight += 1
            return True

    def _tell_crash(self, error: Exception) -> None:
        """Name the type only: the text of an exception may hold the number and the code."""
        self._events.emit("provider_exception", error=type(error).__name__)


class Permit:
    """The right to one send of a bulkhead."""

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
            self._bulkhead.give_back()

    def send(self, sms: SmsMessage, deadline: float) -> SendResult:
        """Send *sms* once; see `interfaces.SendPermit`. A used permit sends nothing."""
        if self._used:
            return NOT_STARTED
        self._used = True
        return self._bulkhead.send(sms, deadline)
