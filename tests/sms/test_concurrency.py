"""The limit of concurrent sends of a router, and waiting for them when it is closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sms.doubles import ACCEPTED, TEMPLATE, RealClock, ScriptedProvider, sms
from support.events import RecordingEvents
from support.waiting import eventually

from otp_service.domain.errors import ProviderUnavailable
from otp_service.domain.messages import SendResult, SendStatus, SmsMessage, Template
from otp_service.sms.provider import ProviderResult
from otp_service.sms.router import NOT_STARTED, Route, SmsRouter


class Sending(ScriptedProvider):
    """A provider whose sends take as many milliseconds as the reference says, or last until released."""

    def __init__(self) -> None:
        super().__init__(ACCEPTED)
        self.released = threading.Event()
        self.deadlines: list[float] = []
        self.threads: set[int] = set()
        self.error: BaseException | None = None
        self.peak = self.running = 0
        self.lock = threading.Lock()

    @property
    def started(self) -> int:
        return len(self.deadlines)

    def send(self, sms: SmsMessage, template: Template, deadline: float) -> ProviderResult:
        with self.lock:
            self.deadlines.append(deadline)
            self.threads.add(threading.get_ident())
            self.running += 1
            self.peak = max(self.peak, self.running)
        if sms.reference == "until released":
            self.released.wait(10)
        else:
            time.sleep(float(sms.reference) / 1000)
        with self.lock:
            self.running -= 1
        if self.error is not None:
            raise self.error
        return ACCEPTED


@pytest.fixture
def sending() -> Sending:
    return Sending()


@pytest.fixture
def events() -> RecordingEvents:
    return RecordingEvents()


def router_of(sending: Sending, events: RecordingEvents, max_in_flight: int) -> SmsRouter:
    routes = [Route("one", sending, (TEMPLATE,))]
    return SmsRouter(routes=routes, clock=RealClock(), events=events, max_in_flight=max_in_flight)


@pytest.fixture
def router(sending: Sending, events: RecordingEvents) -> Iterator[SmsRouter]:
    router = router_of(sending, events, 3)
    yield router
    sending.released.set()
    assert router.close(10)


def send(router: SmsRouter, takes: object = 0, deadline: float = 0) -> SendResult:
    with router.permit():
        return router.send(sms(reference=str(takes)), deadline)


def all_permits(router: SmsRouter) -> bool:
    """Return whether every permit is free."""
    with ExitStack() as permits:
        for _ in range(router.max_in_flight):
            permits.enter_context(router.permit())
    return True


def is_full(router: SmsRouter) -> bool:
    """Return whether there is no permit."""
    try:
        with router.permit():
            return False
    except ProviderUnavailable:
        return True


def test_send_runs_in_the_calling_thread(router: SmsRouter, sending: Sending) -> None:
    assert send(router, deadline=17.5).status is SendStatus.ACCEPTED
    assert sending.threads == {threading.get_ident()}
    assert sending.deadlines == [17.5]


def test_permit_is_released_after_the_send(router: SmsRouter, sending: Sending) -> None:
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(send, router, "until released") for _ in range(3)]
        assert eventually(lambda: sending.started == 3)
        assert is_full(router)
        sending.released.set()

        assert {future.result().status for future in futures} == {SendStatus.ACCEPTED}
    assert all_permits(router)


def test_unused_permit_is_released(router: SmsRouter) -> None:
    for _ in range(10):
        with router.permit():
            pass
        with pytest.raises(KeyError), router.permit():
            raise KeyError

    assert all_permits(router)


def test_never_more_than_the_permitted_number_at_once(sending: Sending, events: RecordingEvents) -> None:
    router = router_of(sending, events, 5)

    def ask(_: int) -> int:
        try:
            return int(send(router, 2).status is SendStatus.ACCEPTED)
        except ProviderUnavailable:
            return 0

    with ThreadPoolExecutor(20) as pool:
        accepted = sum(pool.map(ask, range(300)))

    assert router.close(5)
    assert sending.peak <= 5
    assert 5 <= accepted < 300


def test_provider_exception_is_unknown_and_logged_without_its_text(
    router: SmsRouter, sending: Sending, events: RecordingEvents
) -> None:
    sending.error = ValueError("13800138000")
    outcome = send(router)

    assert (outcome.status, outcome.provider_code) == (SendStatus.UNKNOWN, "local.crashed")
    assert events.emitted == [("provider_exception", {"error": "ValueError"})]
    assert all_permits(router)


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt()], ids=repr)
def test_stopped_thread_releases_its_permit(
    router: SmsRouter, sending: Sending, error: BaseException
) -> None:
    sending.error = error
    with pytest.raises(type(error)):
        send(router)

    assert all_permits(router)


def test_send_after_close_is_refused_and_sends_nothing(sending: Sending, events: RecordingEvents) -> None:
    router = router_of(sending, events, 1)
    with router.permit():
        assert not router.close(0.01)
        outcome = router.send(sms(reference="0"), 0)

    assert outcome is NOT_STARTED
    assert sending.started == 0
    assert router.close(1)
    assert is_full(router)


def test_send_permitted_before_close_still_runs(sending: Sending, events: RecordingEvents) -> None:
    router = router_of(sending, events, 2)
    with ThreadPoolExecutor(1) as pool:
        with router.permit():
            closing = pool.submit(router.close, 5)
            assert eventually(lambda: is_full(router))

            assert router.send(sms(reference="0"), 0).status is SendStatus.ACCEPTED
        assert closing.result()


def test_close_waits_for_the_sends_in_flight(sending: Sending, events: RecordingEvents) -> None:
    router = router_of(sending, events, 2)
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(send, router, 60)
        assert eventually(lambda: sending.started == 1)

        assert router.close(5)
        assert sent.result().status is SendStatus.ACCEPTED


def test_close_gives_up_in_time(router: SmsRouter, sending: Sending) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(send, router, "until released")
        assert eventually(lambda: sending.started == 1)
        began = time.monotonic()

        assert not router.close(0.05)
        assert time.monotonic() - began < 1
        sending.released.set()
