"""The collecting: what is taken and when, what is deleted, and how long it rests after failures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest
from sms import wire
from sms.doubles import ManualClock, RealClock, RecordedEvents, eventually
from sms.queues import (
    DELETED,
    EMPTY,
    RecordedStop,
    error_xml,
    key_answer,
    make_queue,
    message_xml,
    messages_xml,
    replies,
)
from sms.wire import WireServer, response

from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.reports import UnreadableReports
from otp_service.services.delivery_reports import ReportBatchResult
from otp_service.sms.aliyun.mns.backoff import FIRST_SECONDS, MOST_SECONDS, Backoff
from otp_service.sms.aliyun.mns.collector import HOLD_SECONDS, LEAST_SECONDS, QueueConsumer, Take
from otp_service.sms.aliyun.mns.taker import SECONDS, MessageHandler

BATCH = response(messages_xml(*(message_xml(name.encode(), f"h-{name}") for name in "abc")))


class LoggedEvents(RecordedEvents):
    """What stands in the log; reads, which do not, are kept apart."""

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
    collector: QueueConsumer
    server: WireServer
    events: LoggedEvents
    clock: ManualClock | RealClock

    def deleted(self) -> list[bytes]:
        return [request for request in self.server.requests if request.startswith(b"DELETE")]


@contextmanager
def collecting(
    behave: wire.Behave,
    take: Take,
    stop: threading.Event | None = None,
    clock: ManualClock | RealClock | None = None,
) -> Iterator[Setup]:
    clock = clock or RealClock()
    events = LoggedEvents()
    with ExitStack() as stack:
        keys = stack.enter_context(WireServer(replies(key_answer())))
        server = stack.enter_context(WireServer(behave))
        collector = QueueConsumer(
            name="SmsReport",
            queue=make_queue(keys.url, server.url, clock),
            take=take,
            clock=clock,
            events=events,
            stop=stop or threading.Event(),
            backoff=Backoff(chance=lambda: 0.0),
        )
        stack.callback(collector.close)
        yield Setup(collector, server, events, clock)


def always(_: bytes) -> bool:
    return True


def test_message_is_deleted_after_it_was_taken_and_never_before() -> None:
    order: list[tuple[bytes, int]] = []

    def take(body: bytes) -> bool:
        order.append((body, len(made.deleted())))
        return True

    with collecting(replies(BATCH, DELETED, EMPTY), take) as made:
        assert made.collector.drain()

        assert order == [(b"a", 0), (b"b", 0), (b"c", 0)]
        (delete,) = made.deleted()
        assert [f"h-{name}".encode() in delete for name in "abc"] == [True, True, True]
        assert made.events.seen == [("queue_batch", {"queue": "SmsReport", "received": 3, "taken": 3})]


def raises(_: bytes) -> bool:
    raise ZeroDivisionError


def test_every_read_is_recorded_with_its_result() -> None:
    stop = RecordedStop(2)
    with collecting(replies(EMPTY, response(b"", 500), EMPTY), always, stop) as made:
        made.collector.run()

    assert made.events.reads[:2] == [
        {"queue": "SmsReport", "result": "ok"},
        {"queue": "SmsReport", "result": "failed"},
    ]


@pytest.mark.parametrize("fails", [lambda _: False, raises], ids=["refuses", "crashes"])
def test_message_that_is_not_taken_is_not_deleted_and_keeps_nobody_waiting(fails: Take) -> None:
    with collecting(
        replies(BATCH, DELETED, EMPTY), lambda body: fails(body) if body == b"b" else True
    ) as made:
        assert not made.collector.drain()

        (delete,) = made.deleted()
        assert [f"h-{name}".encode() in delete for name in "abc"] == [True, False, True]


def test_crash_of_the_taker_is_told_by_its_type_alone() -> None:
    with collecting(replies(BATCH, EMPTY), raises) as made:
        made.collector.drain()

    assert made.events.seen[0] == (
        "queue_message_failed",
        {"queue": "SmsReport", "error": "ZeroDivisionError"},
    )


def test_nothing_is_deleted_when_nothing_was_taken() -> None:
    with collecting(replies(BATCH, EMPTY), lambda _: False) as made:
        assert not made.collector.drain()

        assert made.deleted() == []
        assert len(made.server.requests) == 1  # what can't be taken now is not asked for again at once


def test_drain_of_an_empty_queue_is_done() -> None:
    with collecting(replies(EMPTY), always) as made:
        assert made.collector.drain()

        assert made.events.seen == []


def test_drain_ends_with_the_first_trouble() -> None:
    with collecting(replies(response(error_xml("QueueNotExist"), 404)), always) as made:
        assert not made.collector.drain()

        facts = {"queue": "SmsReport", "call": "receive", "code": "QueueNotExist"}
        assert made.events.seen == [("queue_error", facts)]


def test_failures_are_waited_out_ever_longer_up_to_a_bound() -> None:
    stop = RecordedStop(9)
    with collecting(replies(response(b"", 500)), always, stop) as made:
        made.collector.run()

        assert stop.waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
        assert len(made.server.requests) == 9
        assert made.events.names == ["queue_error"]


def test_trouble_is_told_once_for_each_code_and_its_end_once() -> None:
    stop = RecordedStop(4)
    failures = [response(b"", 500), response(b"", 500), response(b"", 503), EMPTY, EMPTY, response(b"", 500)]
    with collecting(replies(*failures), always, stop) as made:
        made.collector.run()

    assert [(name, facts.get("code")) for name, facts in made.events.seen] == [
        ("queue_error", "http_500"),
        ("queue_error", "http_503"),
        ("queue_restored", None),
    ]


@pytest.mark.parametrize(
    "behave",
    [wire.resets(), wire.hangs_up, wire.answers(response(b"<Messages>"))],
    ids=["reset", "hang-up", "malformed XML"],
)
def test_no_failure_makes_a_busy_loop(behave: wire.Behave) -> None:
    stop = RecordedStop(3)
    with collecting(behave, always, stop) as made:
        made.collector.run()

        assert stop.waits == [0.5, 1, 2]
        assert len(made.server.requests) == 3


def test_messages_that_nobody_takes_are_no_busy_loop_either() -> None:
    stop = RecordedStop(3)
    with collecting(replies(BATCH), lambda _: False, stop) as made:
        made.collector.run()

    assert stop.waits == [0.5, 1, 2]


def test_delete_that_fails_is_waited_out() -> None:
    stop = RecordedStop(1)
    with collecting(replies(BATCH, response(b"", 500)), always, stop) as made:
        made.collector.run()

    assert stop.waits == [0.5]
    assert made.events.seen == [("queue_error", {"queue": "SmsReport", "call": "delete", "code": "http_500"})]


def test_success_ends_the_waiting() -> None:
    stop = RecordedStop(4)
    bad = response(b"", 500)
    with collecting(replies(bad, bad, BATCH, DELETED, bad, bad), always, stop) as made:
        made.collector.run()

    assert stop.waits == [0.5, 1, 0.5, 1]


def test_queue_that_does_not_wait_as_asked_is_not_asked_at_once() -> None:
    stop = RecordedStop(2)
    with collecting(replies(EMPTY), always, stop) as made:
        made.collector.run()

        assert len(made.server.requests) == 2
    assert all(LEAST_SECONDS / 2 < seconds <= LEAST_SECONDS for seconds in stop.waits)


def test_busy_queue_is_read_without_a_rest() -> None:
    stop = RecordedStop(1)
    with collecting(replies(BATCH, DELETED, BATCH, DELETED, BATCH, DELETED, EMPTY), always, stop) as made:
        made.collector.run()

        assert len(made.deleted()) == 3
    assert len(stop.waits) == 1


def test_batch_that_takes_too_long_is_left_before_it_comes_again() -> None:
    clock = ManualClock()

    def slowly(_: bytes) -> bool:
        clock.advance(HOLD_SECONDS)
        return True

    with collecting(replies(BATCH, DELETED), slowly, RecordedStop(1), clock) as made:
        made.collector.run()

    assert made.events.seen == [("queue_batch", {"queue": "SmsReport", "received": 3, "taken": 1})]


def test_stop_lets_the_message_in_hand_be_finished_and_deleted() -> None:
    stop, working, may_go_on = threading.Event(), threading.Event(), threading.Event()

    def take(_: bytes) -> bool:
        working.set()
        return may_go_on.wait(20)

    with collecting(replies(BATCH, DELETED, EMPTY), take, stop) as made:
        thread = threading.Thread(target=made.collector.run)
        thread.start()
        assert working.wait(10)
        stop.set()
        assert not made.collector.finish(0.05)
        may_go_on.set()
        assert made.collector.finish(10)

        (delete,) = made.deleted()
        assert [f"h-{name}".encode() in delete for name in "abc"] == [True, False, False]
        thread.join(10)
        assert not thread.is_alive()


def test_stop_does_not_wait_for_a_queue_that_is_waited_at() -> None:
    stop = threading.Event()
    with collecting(wire.stalls, always, stop) as made:
        thread = threading.Thread(target=made.collector.run)
        thread.start()
        assert eventually(lambda: made.server.requests)
        stop.set()

        assert made.collector.finish(0.05)
        thread.join(10)
        assert not thread.is_alive()


# ── the waits ──


def test_half_of_a_wait_is_left_to_chance() -> None:
    assert [Backoff(lambda: 0.0).next(), Backoff(lambda: 1.0).next()] == [FIRST_SECONDS, FIRST_SECONDS / 2]
    assert 0 < Backoff().next() <= FIRST_SECONDS


def test_wait_never_passes_its_bound() -> None:
    backoff = Backoff(lambda: 0.0)

    assert max(backoff.next() for _ in range(5000)) == MOST_SECONDS


# ── the taker ──


def taker(take: Callable[[bytes, float], ReportBatchResult]) -> tuple[MessageHandler, RecordedEvents]:
    events = RecordedEvents()
    return MessageHandler(take=take, clock=ManualClock(), events=events), events


def test_message_that_was_seen_to_is_done_with() -> None:
    seen: list[tuple[bytes, float]] = []

    def take(body: bytes, deadline: float) -> ReportBatchResult:
        seen.append((body, deadline))
        return ReportBatchResult(updated=1, unrecognized=1, malformed=1, dropped=1)

    assert taker(take)[0](b"[]")
    assert seen == [(b"[]", 1000.0 + SECONDS)]


def test_reply_that_was_not_passed_on_must_come_again() -> None:
    assert not taker(lambda *_: ReportBatchResult(must_retry=1, forwarded=1))[0](b"[]")


def test_message_must_come_again_when_the_store_fails() -> None:
    def take(*_: object) -> ReportBatchResult:
        raise StoreUnavailable

    assert not taker(take)[0](b"[]")


def test_message_that_nobody_can_read_is_told_of_and_done_with() -> None:
    def take(*_: object) -> ReportBatchResult:
        raise UnreadableReports("not JSON")

    made, events = taker(take)
    assert made(b"nonsense")
    assert events.seen == [("queue_message_invalid", {"bytes": 8})]
