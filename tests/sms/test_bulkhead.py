from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sms.doubles import RealClock, RecordedEvents, eventually, sms

from otp_service.errors import ProviderUnavailable
from otp_service.messages import Sms
from otp_service.ports import Outcome, OutcomeKind, SendPermit
from otp_service.sms.bulkhead import NOT_STARTED, Bulkhead
from otp_service.sms.gate import Gate
from otp_service.sms.handover import Handover, Stage

ACCEPTED = Outcome(OutcomeKind.ACCEPTED)
clock = RealClock()


class Sending:
    """What a bulkhead delivers by: takes as long as the OutId says, in milliseconds, or until released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.started = 0
        self.threads: set[int] = set()
        self.error: BaseException | None = None

    def __call__(self, sms: Sms, deadline: float) -> Outcome:
        self.started += 1
        self.threads.add(threading.get_ident())
        if sms.out_id == "until released":
            self.released.wait(10)
        else:
            time.sleep(float(sms.out_id) / 1000)
        if self.error is not None:
            raise self.error
        return ACCEPTED


class Late:
    """Records the outcomes that came late, and by which thread."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.threads: set[int] = set()

    def __call__(self, outcome: Outcome) -> None:
        self.threads.add(threading.get_ident())
        self.outcomes.append(outcome)


@pytest.fixture
def sending() -> Sending:
    return Sending()


@pytest.fixture
def events() -> RecordedEvents:
    return RecordedEvents()


@pytest.fixture
def bulkhead(sending: Sending, events: RecordedEvents) -> Iterator[Bulkhead]:
    bulkhead = Bulkhead(sending, gate=Gate(3), clock=clock, events=events)
    yield bulkhead
    sending.released.set()
    assert bulkhead.close(10)


def send(bulkhead: Bulkhead, takes: object, seconds: float, late: Late) -> Outcome:
    with bulkhead.permit() as permit:
        return permit.send(sms(out_id=str(takes)), clock.monotonic() + seconds, late)


def test_outcome_in_time_is_returned(bulkhead: Bulkhead) -> None:
    late = Late()

    assert send(bulkhead, 0, 5, late) is ACCEPTED
    assert late.outcomes == []


def test_slow_send_is_unknown_at_the_deadline_and_late_afterwards(
    bulkhead: Bulkhead, sending: Sending
) -> None:
    late = Late()
    began = time.monotonic()
    outcome = send(bulkhead, "until released", 0.05, late)
    took = time.monotonic() - began

    assert (outcome.kind, outcome.provider_code) == (OutcomeKind.UNKNOWN, "local.deadline")
    assert 0.04 < took < 1
    assert late.outcomes == []
    sending.released.set()
    assert eventually(lambda: late.outcomes == [ACCEPTED])
    assert late.threads == sending.threads
    assert threading.get_ident() not in late.threads


def test_permit_comes_back_when_the_late_send_has_ended(bulkhead: Bulkhead, sending: Sending) -> None:
    late = Late()
    for _ in range(3):
        send(bulkhead, "until released", 0.02, late)
    with pytest.raises(ProviderUnavailable):
        bulkhead.permit()
    sending.released.set()

    assert eventually(lambda: len(late.outcomes) == 3)
    assert send(bulkhead, 0, 5, late) is ACCEPTED


def test_unused_permit_comes_back(bulkhead: Bulkhead) -> None:
    for _ in range(10):
        with bulkhead.permit():
            pass
        with pytest.raises(KeyError), bulkhead.permit():
            raise KeyError

    permits = [bulkhead.permit() for _ in range(3)]
    for permit in permits:
        with permit:
            pass


def test_used_permit_sends_nothing_more(bulkhead: Bulkhead, sending: Sending) -> None:
    late = Late()
    with bulkhead.permit() as permit:
        permit.send(sms(out_id="0"), clock.monotonic() + 5, late)
        again = permit.send(sms(out_id="0"), clock.monotonic() + 5, late)
    after = permit.send(sms(out_id="0"), clock.monotonic() + 5, late)

    assert again is after is NOT_STARTED
    assert sending.started == 1
    permits = [bulkhead.permit() for _ in range(3)]
    for unused in permits:
        unused.__exit__(None, None, None)


def test_sequential_sends_reuse_one_thread(bulkhead: Bulkhead, sending: Sending) -> None:
    for _ in range(30):
        send(bulkhead, 0, 5, Late())

    assert len(sending.threads) <= 2


def test_never_more_than_the_permitted_number_at_once(events: RecordedEvents) -> None:
    lock = threading.Lock()
    running = peak = 0

    def deliver(sms: Sms, deadline: float) -> Outcome:
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
        time.sleep(0.002)
        with lock:
            running -= 1
        return ACCEPTED

    bulkhead = Bulkhead(deliver, gate=Gate(5), clock=clock, events=events)

    def ask(_: int) -> int:
        try:
            return int(send(bulkhead, 0, 5, Late()) is ACCEPTED)
        except ProviderUnavailable:
            return 0

    with ThreadPoolExecutor(20) as pool:
        accepted = sum(pool.map(ask, range(300)))

    assert bulkhead.close(5)
    assert peak <= 5
    assert 5 <= accepted < 300


@pytest.mark.parametrize("error", [ValueError("13800138000"), SystemExit("13800138000")], ids=repr)
def test_crash_inside_a_provider_is_unknown_and_told_without_its_text(
    bulkhead: Bulkhead, sending: Sending, events: RecordedEvents, error: BaseException
) -> None:
    sending.error = error
    outcome = send(bulkhead, 0, 5, Late())

    assert (outcome.kind, outcome.provider_code) == (OutcomeKind.UNKNOWN, "local.crashed")
    assert events.seen == (
        [("provider_crashed", {"error": "ValueError"})] if isinstance(error, Exception) else []
    )


def test_crash_after_the_deadline_is_late_and_unknown(bulkhead: Bulkhead, sending: Sending) -> None:
    late = Late()
    sending.error = ValueError()
    send(bulkhead, 30, 0.01, late)

    assert eventually(lambda: [o.provider_code for o in late.outcomes] == ["local.crashed"])


def test_crash_of_the_late_callback_gives_the_permit_back(bulkhead: Bulkhead, events: RecordedEvents) -> None:
    def fails(outcome: Outcome) -> None:
        raise LookupError("13800138000")

    for _ in range(3):
        with bulkhead.permit() as permit:
            permit.send(sms(out_id="30"), clock.monotonic() + 0.005, fails)

    assert eventually(lambda: len(events.seen) == 3)
    assert events.seen[0] == ("late_callback_failed", {"error": "LookupError"})
    assert eventually(lambda: send(bulkhead, 0, 5, Late()) is ACCEPTED)


def test_answer_around_the_deadline_is_either_returned_or_late_and_never_both(
    bulkhead: Bulkhead,
) -> None:
    ways = {"in time": 0, "late": 0}
    for number in range(200):
        late = Late()
        outcome = send(bulkhead, 5, 0.005 + (number % 9 - 3) / 4000, late)
        if outcome is ACCEPTED:
            ways["in time"] += 1
            time.sleep(0.001)
            assert late.outcomes == []
        else:
            ways["late"] += 1
            assert outcome.kind is OutcomeKind.UNKNOWN
            assert eventually(lambda late=late: late.outcomes == [ACCEPTED])

    assert ways["in time"]
    assert ways["late"]


def test_handover_decides_each_race_once() -> None:
    for _ in range(500):
        handover = Handover()
        assert handover.begin()
        barrier = threading.Barrier(2)

        def settle(handover: Handover = handover, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            in_time = handover.settle(ACCEPTED)
            handover.announce()
            return in_time

        with ThreadPoolExecutor(1) as pool:
            settled = pool.submit(settle)
            barrier.wait()
            outcome = handover.wait(0)
        assert settled.result() is (outcome is ACCEPTED)


def test_revoked_send_never_begins() -> None:
    handover = Handover()

    assert handover.wait(0) is None
    assert handover.stage is Stage.REVOKED
    assert not handover.begin()


def test_send_after_close_is_refused_and_sends_nothing(sending: Sending, events: RecordedEvents) -> None:
    bulkhead = Bulkhead(sending, gate=Gate(1), clock=clock, events=events)
    with bulkhead.permit() as permit:
        assert not bulkhead.close(0.01)
        began = time.monotonic()
        outcome = permit.send(sms(out_id="0"), clock.monotonic() + 5, Late())

    assert outcome is NOT_STARTED
    assert time.monotonic() - began < 1
    assert sending.started == 0
    assert bulkhead.close(1)
    with pytest.raises(ProviderUnavailable):
        bulkhead.permit()


def test_send_without_a_thread_is_refused_and_never_sent(
    bulkhead: Bulkhead, sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        assert send(bulkhead, 0, 5, Late()) is NOT_STARTED
    # The first one still stands in the pool's queue, before this one.
    assert send(bulkhead, 0, 5, Late()) is ACCEPTED

    assert sending.started == 1


def test_close_waits_for_the_sends_in_flight(sending: Sending, events: RecordedEvents) -> None:
    bulkhead = Bulkhead(sending, gate=Gate(2), clock=clock, events=events)
    late = Late()
    send(bulkhead, 60, 0.01, late)

    assert bulkhead.close(5)
    assert late.outcomes == [ACCEPTED]
    assert not [t for t in threading.enumerate() if t.ident in sending.threads]


def test_close_gives_up_in_time(bulkhead: Bulkhead, sending: Sending) -> None:
    send(bulkhead, "until released", 0.01, Late())
    began = time.monotonic()

    assert not bulkhead.close(0.05)
    assert time.monotonic() - began < 1


def test_interrupted_wait_still_hears_the_late_outcome(
    bulkhead: Bulkhead, sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = Late()

    def interrupted(*_: object) -> None:
        """As by a signal, once the send has begun."""
        assert eventually(lambda: sending.started == 1)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Handover, "_listen", interrupted)
        with pytest.raises(KeyboardInterrupt):
            send(bulkhead, "until released", 5, late)
    sending.released.set()

    assert eventually(lambda: late.outcomes == [ACCEPTED])


def test_permit_is_a_send_permit(bulkhead: Bulkhead) -> None:
    permit: SendPermit = bulkhead.permit()
    with permit:
        pass
