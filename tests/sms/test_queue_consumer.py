"""The queue consumer: processing, deletion, and backoff after failures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest
from sms import wire
from sms.doubles import ManualClock, RealClock
from sms.queue_helpers import (
    DELETED,
    EMPTY,
    RecordedStop,
    answers_in_order,
    error_xml,
    key_answer,
    make_queue,
    message_xml,
    messages_xml,
)
from sms.wire import WireServer, response
from support.events import RecordingEvents
from support.waiting import eventually

from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.reports import UnreadableReports
from otp_service.services.delivery_reports import ReportBatchResult
from otp_service.sms.aliyun.mns.consumer import (
    BATCH_SECONDS,
    FIRST_BACKOFF_SECONDS,
    MAX_BACKOFF_SECONDS,
    MESSAGE_SECONDS,
    MIN_INTERVAL_SECONDS,
    Backoff,
    Handle,
    MessageHandler,
    QueueConsumer,
)

BATCH = response(messages_xml(*(message_xml(name.encode(), f"h-{name}") for name in "abc")))


class LoggedEvents(RecordingEvents):
    """Records the logged events, and `queue_read`, which is not logged, separately."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[dict[str, object]] = []

    def emit(self, event: str, **facts: object) -> None:
        if event == "queue_read":
            self.reads.append(facts)
        else:
            super().emit(event, **facts)


@dataclass
class Setup:
    """A queue consumer, the server that it reads from, and its events."""

    consumer: QueueConsumer
    server: WireServer
    events: LoggedEvents
    clock: ManualClock | RealClock

    def deleted(self) -> list[bytes]:
        return [request for request in self.server.requests if request.startswith(b"DELETE")]


@contextmanager
def running_consumer(
    behave: wire.Behave,
    handle: Handle,
    stop: threading.Event | None = None,
    clock: ManualClock | RealClock | None = None,
) -> Iterator[Setup]:
    clock = clock or RealClock()
    events = LoggedEvents()
    with ExitStack() as stack:
        keys = stack.enter_context(WireServer(answers_in_order(key_answer())))
        server = stack.enter_context(WireServer(behave))
        consumer = QueueConsumer(
            name="SmsReport",
            queue=make_queue(keys.url, server.url, clock),
            handle=handle,
            clock=clock,
            events=events,
            stop=stop or threading.Event(),
            backoff=Backoff(random=lambda: 0.0),
        )
        stack.callback(consumer.close)
        yield Setup(consumer, server, events, clock)


def always(_: bytes) -> bool:
    return True


def test_message_is_deleted_only_after_it_was_processed() -> None:
    order: list[tuple[bytes, int]] = []

    def process(body: bytes) -> bool:
        order.append((body, len(setup.deleted())))
        return True

    with running_consumer(answers_in_order(BATCH, DELETED, EMPTY), process) as setup:
        assert setup.consumer.drain()

        assert order == [(b"a", 0), (b"b", 0), (b"c", 0)]
        (delete,) = setup.deleted()
        assert [f"h-{name}".encode() in delete for name in "abc"] == [True, True, True]
        assert setup.events.emitted == [
            ("queue_batch", {"queue": "SmsReport", "received": 3, "processed": 3})
        ]


def raises(_: bytes) -> bool:
    raise ZeroDivisionError


def test_every_read_is_recorded_with_its_result() -> None:
    stop = RecordedStop(2)
    with running_consumer(answers_in_order(EMPTY, response(b"", 500), EMPTY), always, stop) as setup:
        setup.consumer.run()

    assert setup.events.reads[:2] == [
        {"queue": "SmsReport", "result": "ok"},
        {"queue": "SmsReport", "result": "failed"},
    ]


@pytest.mark.parametrize("fails", [lambda _: False, raises], ids=["refuses", "crashes"])
def test_failed_message_is_not_deleted_and_does_not_block_the_others(fails: Handle) -> None:
    with running_consumer(
        answers_in_order(BATCH, DELETED, EMPTY), lambda body: fails(body) if body == b"b" else True
    ) as setup:
        assert not setup.consumer.drain()

        (delete,) = setup.deleted()
        assert [f"h-{name}".encode() in delete for name in "abc"] == [True, False, True]


def test_handler_exception_is_logged_by_type_only() -> None:
    with running_consumer(answers_in_order(BATCH, EMPTY), raises) as setup:
        setup.consumer.drain()

    assert setup.events.emitted[0] == (
        "queue_message_failed",
        {"queue": "SmsReport", "error": "ZeroDivisionError"},
    )


def test_nothing_is_deleted_when_nothing_was_processed() -> None:
    with running_consumer(answers_in_order(BATCH, EMPTY), lambda _: False) as setup:
        assert not setup.consumer.drain()

        assert setup.deleted() == []
        assert len(setup.server.requests) == 1  # what cannot be processed now is not requested again at once


def test_drain_of_an_empty_queue_succeeds() -> None:
    with running_consumer(answers_in_order(EMPTY), always) as setup:
        assert setup.consumer.drain()

        assert setup.events.emitted == []


def test_drain_ends_with_the_first_error() -> None:
    with running_consumer(answers_in_order(response(error_xml("QueueNotExist"), 404)), always) as setup:
        assert not setup.consumer.drain()

        facts = {"queue": "SmsReport", "call": "receive", "code": "QueueNotExist"}
        assert setup.events.emitted == [("queue_error", facts)]


def test_failures_back_off_exponentially_up_to_a_maximum() -> None:
    stop = RecordedStop(9)
    with running_consumer(answers_in_order(response(b"", 500)), always, stop) as setup:
        setup.consumer.run()

        assert stop.waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
        assert len(setup.server.requests) == 9
        assert setup.events.names == ["queue_error"]


def test_error_is_logged_once_per_code_and_recovery_once() -> None:
    stop = RecordedStop(4)
    failures = [response(b"", 500), response(b"", 500), response(b"", 503), EMPTY, EMPTY, response(b"", 500)]
    with running_consumer(answers_in_order(*failures), always, stop) as setup:
        setup.consumer.run()

    assert [(name, facts.get("code")) for name, facts in setup.events.emitted] == [
        ("queue_error", "http_500"),
        ("queue_error", "http_503"),
        ("queue_restored", None),
    ]


@pytest.mark.parametrize(
    "behave",
    [wire.resets(), wire.hangs_up, wire.answers(response(b"<Messages>"))],
    ids=["reset", "hang-up", "malformed XML"],
)
def test_no_failure_causes_a_busy_loop(behave: wire.Behave) -> None:
    stop = RecordedStop(3)
    with running_consumer(behave, always, stop) as setup:
        setup.consumer.run()

        assert stop.waits == [0.5, 1, 2]
        assert len(setup.server.requests) == 3


def test_unprocessed_messages_cause_no_busy_loop() -> None:
    stop = RecordedStop(3)
    with running_consumer(answers_in_order(BATCH), lambda _: False, stop) as setup:
        setup.consumer.run()

    assert stop.waits == [0.5, 1, 2]


def test_failed_delete_backs_off() -> None:
    stop = RecordedStop(1)
    with running_consumer(answers_in_order(BATCH, response(b"", 500)), always, stop) as setup:
        setup.consumer.run()

    assert stop.waits == [0.5]
    assert setup.events.emitted == [
        ("queue_error", {"queue": "SmsReport", "call": "delete", "code": "http_500"})
    ]


def test_success_resets_the_backoff() -> None:
    stop = RecordedStop(4)
    bad = response(b"", 500)
    with running_consumer(answers_in_order(bad, bad, BATCH, DELETED, bad, bad), always, stop) as setup:
        setup.consumer.run()

    assert stop.waits == [0.5, 1, 0.5, 1]


def test_queue_that_returns_early_is_not_polled_at_once() -> None:
    stop = RecordedStop(2)
    with running_consumer(answers_in_order(EMPTY), always, stop) as setup:
        setup.consumer.run()

        assert len(setup.server.requests) == 2
    assert all(MIN_INTERVAL_SECONDS / 2 < seconds <= MIN_INTERVAL_SECONDS for seconds in stop.waits)


def test_busy_queue_is_read_without_a_pause() -> None:
    stop = RecordedStop(1)
    with running_consumer(
        answers_in_order(BATCH, DELETED, BATCH, DELETED, BATCH, DELETED, EMPTY), always, stop
    ) as setup:
        setup.consumer.run()

        assert len(setup.deleted()) == 3
    assert len(stop.waits) == 1


def test_slow_batch_is_abandoned_before_its_messages_come_again() -> None:
    clock = ManualClock()

    def slowly(_: bytes) -> bool:
        clock.advance(BATCH_SECONDS)
        return True

    with running_consumer(answers_in_order(BATCH, DELETED), slowly, RecordedStop(1), clock) as setup:
        setup.consumer.run()

    assert setup.events.emitted == [("queue_batch", {"queue": "SmsReport", "received": 3, "processed": 1})]


def test_stop_lets_the_message_in_progress_finish() -> None:
    stop, working, may_go_on = threading.Event(), threading.Event(), threading.Event()

    def process(_: bytes) -> bool:
        working.set()
        return may_go_on.wait(20)

    with running_consumer(answers_in_order(BATCH, DELETED, EMPTY), process, stop) as setup:
        thread = threading.Thread(target=setup.consumer.run)
        thread.start()
        assert working.wait(10)
        stop.set()
        assert not setup.consumer.finish(0.05)
        may_go_on.set()
        assert setup.consumer.finish(10)

        (delete,) = setup.deleted()
        assert [f"h-{name}".encode() in delete for name in "abc"] == [True, False, False]
        thread.join(10)
        assert not thread.is_alive()


def test_stop_does_not_wait_for_a_pending_receive() -> None:
    stop = threading.Event()
    with running_consumer(wire.stalls, always, stop) as setup:
        thread = threading.Thread(target=setup.consumer.run)
        thread.start()
        assert eventually(lambda: setup.server.requests)
        stop.set()

        assert setup.consumer.finish(0.05)
        thread.join(10)
        assert not thread.is_alive()


# ── backoff ──


def test_backoff_is_shortened_by_up_to_half_at_random() -> None:
    assert [Backoff(lambda: 0.0).next(), Backoff(lambda: 1.0).next()] == [
        FIRST_BACKOFF_SECONDS,
        FIRST_BACKOFF_SECONDS / 2,
    ]
    assert 0 < Backoff().next() <= FIRST_BACKOFF_SECONDS


def test_backoff_never_exceeds_its_maximum() -> None:
    backoff = Backoff(lambda: 0.0)

    assert max(backoff.next() for _ in range(5000)) == MAX_BACKOFF_SECONDS


# ── the message handler ──


def handler(process: Callable[[bytes, float], ReportBatchResult]) -> tuple[MessageHandler, RecordingEvents]:
    events = RecordingEvents()
    return MessageHandler(process=process, clock=ManualClock(), events=events), events


def test_processed_message_can_be_deleted() -> None:
    seen: list[tuple[bytes, float]] = []

    def process(body: bytes, deadline: float) -> ReportBatchResult:
        seen.append((body, deadline))
        return ReportBatchResult(updated=1, unrecognized=1, malformed=1, dropped=1)

    assert handler(process)[0](b"[]")
    assert seen == [(b"[]", 1000.0 + MESSAGE_SECONDS)]


def test_inbound_sms_that_was_not_forwarded_must_come_again() -> None:
    assert not handler(lambda *_: ReportBatchResult(must_retry=1, forwarded=1))[0](b"[]")


def test_message_must_come_again_when_the_store_fails() -> None:
    def process(*_: object) -> ReportBatchResult:
        raise StoreUnavailable

    assert not handler(process)[0](b"[]")


def test_invalid_message_is_logged_and_can_be_deleted() -> None:
    def process(*_: object) -> ReportBatchResult:
        raise UnreadableReports("not JSON")

    handle, events = handler(process)
    assert handle(b"nonsense")
    assert events.emitted == [("queue_message_invalid", {"bytes": 8})]
