"""The bulkhead: a bounded number of sends in flight, in threads of their own; touches threads.

A provider that stalls takes these threads and no others, and whoever waits for one waits until the deadline
of the request and no longer.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from otp_service.errors import ProviderUnavailable
from otp_service.messages import Sms
from otp_service.ports import Clock, Events, Fault, Outcome
from otp_service.sms.gate import Gate
from otp_service.sms.handover import Handover, Stage
from otp_service.sms.provider import refused, unknown

T = TypeVar("T")

Deliver = Callable[[Sms, float], Outcome]
Late = Callable[[Outcome], None]

RETRY_AFTER = 1
NOT_STARTED = refused(Fault.PROVIDER, "not_started", wait=RETRY_AFTER)
"""For certain: a send that no thread has begun is revoked."""


class Bulkhead:
    """Hands out permits for *deliver* and runs it.

    *gate* counts them, and closes with it.
    """

    def __init__(self, deliver: Deliver, *, gate: Gate, clock: Clock, events: Events) -> None:
        self._deliver = deliver
        self._clock = clock
        self._events = events
        self._gate = gate
        self._pool = ThreadPoolExecutor(gate.places, thread_name_prefix="sms")

    def permit(self) -> Permit:
        """Return the right to one send, without waiting for it.

        Raises:
            ProviderUnavailable: too many sends are in flight, or the process is stopping.
        """
        if not self._gate.take():
            raise ProviderUnavailable(RETRY_AFTER)
        return Permit(self)

    def close(self, timeout: float) -> bool:
        """Refuse new permits and wait for the old ones; tell whether all ended within *timeout* seconds."""
        drained = self._gate.close(timeout)
        self._pool.shutdown(wait=drained)
        return drained

    def give_back(self) -> None:
        """Take back a permit that was not used."""
        self._gate.give_back()

    def send(self, sms: Sms, deadline: float, late: Late) -> Outcome:
        """Do what `ports.SendPermit.send` promises; the permit comes back when the send has really ended."""
        handover = Handover()
        try:
            self._start(handover, sms, deadline, late)
            outcome = handover.wait(deadline - self._clock.monotonic())
        finally:
            if handover.stage is Stage.REVOKED:
                self.give_back()
        if handover.stage is Stage.REVOKED:
            return NOT_STARTED
        return outcome or unknown("deadline")

    def ask(self, question: Callable[[], T], deadline: float) -> T | None:
        """Have *question* answered in a place of its own until *deadline*; None when it was not."""
        if not self._gate.take():
            return None
        try:
            asked = self._pool.submit(question)
        except RuntimeError:  # the pool is closed
            self.give_back()
            return None
        asked.add_done_callback(lambda _: self.give_back())
        return self._answer(asked, deadline)

    def _answer(self, asked: Future[T], deadline: float) -> T | None:
        try:
            return asked.result(max(0.0, deadline - self._clock.monotonic()))
        except TimeoutError:
            asked.cancel()
        except Exception as error:  # noqa: BLE001 - a question that fails was not answered
            self._emit("provider_crashed", error)
        return None

    def _start(self, handover: Handover, sms: Sms, deadline: float, late: Late) -> None:
        try:
            self._pool.submit(self._run, handover, sms, deadline, late)
        except RuntimeError:
            # The pool is closed or no thread could be started; the job may stand in its queue all the same.
            handover.revoke()

    def _run(self, handover: Handover, sms: Sms, deadline: float, late: Late) -> None:
        if not handover.begin():
            return
        outcome = unknown("crashed")
        try:
            outcome = self._deliver(sms, deadline)
        except Exception as error:  # noqa: BLE001 - whether the SMS left is not known, and the caller waits
            self._emit("provider_crashed", error)
        finally:
            self._end(handover, outcome, late)

    def _end(self, handover: Handover, outcome: Outcome, late: Late) -> None:
        try:
            if not handover.settle(outcome):
                late(outcome)
        except Exception as error:  # noqa: BLE001 - nobody is left to tell
            self._emit("late_callback_failed", error)
        finally:
            self._gate.give_back()
            handover.announce()

    def _emit(self, event: str, error: Exception) -> None:
        """Name the type only: the text of an exception may hold the number and the code."""
        self._events.emit(event, error=type(error).__name__)


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

    def send(self, sms: Sms, deadline: float, late: Late) -> Outcome:
        """Send *sms* once; see `ports.SendPermit`. A used permit sends nothing."""
        if self._used:
            return NOT_STARTED
        self._used = True
        return self._bulkhead.send(sms, deadline, late)
