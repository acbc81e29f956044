from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sms.doubles import RealClock, RecordedEvents, eventually, sms

from otp_service.domain.errors import ProviderUnavailable
from otp_service.domain.messages import SendResult, SendStatus, SmsMessage
from otp_service.services.interfaces import SendPermit
from otp_service.sms.concurrency import NOT_STARTED, Bulkhead

ACCEPTED = SendResult(SendStatus.ACCEPTED)
clock = RealClock()


class Sending:
    """A provider whose sends take as many milliseconds as the OutId says, or last until released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.deadlines: list[float] = []
        self.threads: set[int] = set()
        self.error: BaseException | None = None

    @property
    def started(self) -> int:
        return len(self.deadlines)

    def __call__(self, sms: SmsMessage, deadline: float) -> SendResult:
        self.deadlines.append(deadline)
        self.threads.add(threading.get_ident())
        if sms.reference == "until released":
            self.released.wait(10)
        else:
            time.sleep(float(sms.reference) / 1000)
        if self.error is not None:
            raise self.error
        return ACCEPTED


@pytest.fixture
def sending() -> Sending:
    return Sending()


@pytest.fixture
def events() -> RecordedEvents:
    return RecordedEvents()


@pytest.fixture
def bulkhead(sending: Sending, events: RecordedEvents) -> Iterator[Bulkhead]:
    bulkhead = Bulkhead(sending, max_in_flight=3, events=events)
    yield bulkhead
    sending.released.set()
    assert bulkhead.close(10)


def send(bulkhead: Bulkhead, takes: object = 0, deadline: float = 0) -> SendResult:
    with bulkhead.permit() as permit:
        return permit.send(sms(reference=str(takes)), deadline)


def all_places(bulkhead: Bulkhead) -> bool:
    """Return whether every permit is free."""
    permits = [bulkhead.permit() for _ in range(3)]
    for permit in permits:
        with permit:
            pass
    return True


def test_send_runs_in_the_calling_thread(bulkhead: Bulkhead, sending: Sending) -> None:
    assert send(bulkhead, deadline=17.5) is ACCEPTED
    assert sending.threads == {threading.get_ident()}
    assert sending.deadlines == [17.5]


def test_permit_is_released_after_the_send(bulkhead: Bulkhead, sending: Sending) -> None:
    with ThreadPoolExecutor(3) as pool:
        held = [pool.submit(send, bulkhead, "until released") for _ in range(3)]
        assert eventually(lambda: sending.started == 3)
        with pytest.raises(ProviderUnavailable):
            bulkhead.permit()
        sending.released.set()

        assert [each.result() for each in held] == [ACCEPTED] * 3
    assert all_places(bulkhead)


def test_unused_permit_is_released(bulkhead: Bulkhead) -> None:
    for _ in range(10):
        with bulkhead.permit():
            pass
        with pytest.raises(KeyError), bulkhead.permit():
            raise KeyError

    assert all_places(bulkhead)


def test_used_permit_sends_nothing_more(bulkhead: Bulkhead, sending: Sending) -> None:
    with bulkhead.permit() as permit:
        permit.send(sms(reference="0"), 0)
        again = permit.send(sms(reference="0"), 0)
    after = permit.send(sms(reference="0"), 0)

    assert again is after is NOT_STARTED
    assert sending.started == 1
    assert all_places(bulkhead)


def test_never_more_than_the_permitted_number_at_once(events: RecordedEvents) -> None:
    lock = threading.Lock()
    running = peak = 0

    def deliver(sms: SmsMessage, deadline: float) -> SendResult:
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
        time.sleep(0.002)
        with lock:
            running -= 1
        return ACCEPTED

    bulkhead = Bulkhead(deliver, max_in_flight=5, events=events)

    def ask(_: int) -> int:
        try:
            return int(send(bulkhead) is ACCEPTED)
        except ProviderUnavailable:
            return 0

    with ThreadPoolExecutor(20) as pool:
        accepted = sum(pool.map(ask, range(300)))

    assert bulkhead.close(5)
    assert peak <= 5
    assert 5 <= accepted < 300


def test_provider_exception_is_unknown_and_logged_without_its_text(
    bulkhead: Bulkhead, sending: Sending, events: RecordedEvents
) -> None:
    sending.error = ValueError("13800138000")
    outcome = send(bulkhead)

    assert (outcome.status, outcome.provider_code) == (SendStatus.UNKNOWN, "local.crashed")
    assert events.seen == [("provider_exception", {"error": "ValueError"})]
    assert all_places(bulkhead)


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt()], ids=repr)
def test_stopped_thread_releases_its_permit(
    bulkhead: Bulkhead, sending: Sending, error: BaseException
) -> None:
    sending.error = error
    with pytest.raises(type(error)):
        send(bulkhead)

    assert all_places(bulkhead)


def test_send_after_close_is_refused_and_sends_nothing(sending: Sending, events: RecordedEvents) -> None:
    bulkhead = Bulkhead(sending, max_in_flight=1, events=events)
    with bulkhead.permit() as permit:
        assert not bulkhead.close(0.01)
        outcome = permit.send(sms(reference="0"), 0)

    assert outcome is NOT_STARTED
    assert sending.started == 0
    assert bulkhead.close(1)
    with pytest.raises(ProviderUnavailable):
        bulkhead.permit()


def test_send_permitted_before_close_still_runs(sending: Sending, events: RecordedEvents) -> None:
    bulkhead = Bulkhead(sending, max_in_flight=2, events=events)

    def is_closing() -> bool:
        try:
            with bulkhead.permit():
                return False
        except ProviderUnavailable:
            return True

    with bulkhead.permit() as permit, ThreadPoolExecutor(1) as pool:
        closing = pool.submit(bulkhead.close, 5)
        assert eventually(is_closing)

        assert permit.send(sms(reference="0"), 0) is ACCEPTED
        assert closing.result()


def test_close_waits_for_the_sends_in_flight(sending: Sending, events: RecordedEvents) -> None:
    bulkhead = Bulkhead(sending, max_in_flight=2, events=events)
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(send, bulkhead, 60)
        assert eventually(lambda: sending.started == 1)

        assert bulkhead.close(5)
        assert sent.result() is ACCEPTED


def test_close_gives_up_in_time(bulkhead: Bulkhead, sending: Sending) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(send, bulkhead, "until released")
        assert eventually(lambda: sending.started == 1)
        began = time.monotonic()

        assert not bulkhead.close(0.05)
        assert time.monotonic() - began < 1
        sending.released.set()


def test_permit_is_a_send_permit(bulkhead: Bulkhead) -> None:
    permit: SendPermit = bulkhead.permit()
    with permit:
        pass
