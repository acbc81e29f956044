from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from otp_service.sandbox.reports.queue import Queue, ReceivedMessage, StaleReceiptHandle

VISIBILITY_TIMEOUT = timedelta(seconds=30)


@pytest.fixture
def queue(clock: Any) -> Queue:
    return Queue(clock, VISIBILITY_TIMEOUT, max_size=3)


def _receive(queue: Queue, wait_seconds: float = 0) -> ReceivedMessage | None:
    return next(iter(queue.receive(1, wait_seconds)), None)


def _bodies(queue: Queue) -> list[str]:
    return [message.body for message in queue.receive(100)]


def test_messages_are_received_in_order(queue: Queue, clock: Any) -> None:
    for body in "abc":
        queue.put(body, clock())

    assert _bodies(queue) == ["a", "b", "c"]


def test_message_is_received_when_it_is_visible(queue: Queue, clock: Any) -> None:
    queue.put("late", clock() + timedelta(seconds=2))
    queue.put("early", clock() + timedelta(seconds=1))
    before = _receive(queue)
    clock.advance(seconds=2)

    assert before is None
    assert _bodies(queue) == ["early", "late"]


def test_message_that_is_not_deleted_is_received_again(queue: Queue, clock: Any) -> None:
    queue.put("a", clock())
    first = _receive(queue)
    clock.advance(seconds=29.9)
    hidden = _receive(queue)
    clock.advance(seconds=0.1)
    second = _receive(queue)

    assert hidden is None
    assert first
    assert second
    assert [first.receive_count, second.receive_count] == [1, 2]
    assert first.message_id == second.message_id
    assert first.receipt_handle != second.receipt_handle
    assert first.first_received_at == second.first_received_at


def test_deleted_message_is_never_received_again(queue: Queue, clock: Any) -> None:
    queue.put("a", clock())
    received = _receive(queue)
    assert received
    queue.delete(received.receipt_handle)
    clock.advance(hours=1)

    assert _receive(queue) is None
    with pytest.raises(StaleReceiptHandle):
        queue.delete(received.receipt_handle)


def test_handle_is_stale_when_its_message_is_visible_again(queue: Queue, clock: Any) -> None:
    queue.put("a", clock())
    received = _receive(queue)
    assert received
    clock.advance(seconds=30)

    with pytest.raises(StaleReceiptHandle):
        queue.delete(received.receipt_handle)


def test_handle_of_an_earlier_receipt_is_stale(queue: Queue, clock: Any) -> None:
    queue.put("a", clock())
    first = _receive(queue)
    assert first
    clock.advance(seconds=30)
    _receive(queue)

    with pytest.raises(StaleReceiptHandle):
        queue.delete(first.receipt_handle)


def test_handle_needs_no_encoding_in_a_url(queue: Queue, clock: Any) -> None:
    queue.put("a", clock())
    received = _receive(queue)

    assert received
    assert set(received.receipt_handle) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-="
    )


def test_full_queue_drops_the_oldest_message(queue: Queue, clock: Any) -> None:
    for body in "abcd":
        queue.put(body, clock())

    assert _bodies(queue) == ["b", "c", "d"]


def test_long_poll_waits_for_a_message(queue: Queue, clock: Any) -> None:
    threading.Timer(0.1, queue.put, ["a", clock()]).start()
    started = time.monotonic()
    received = _receive(queue, 10)

    assert received
    assert 0.05 < time.monotonic() - started < 5


def test_long_poll_ends_after_its_wait_time(queue: Queue) -> None:
    started = time.monotonic()

    assert _receive(queue, 0.2) is None
    assert 0.15 < time.monotonic() - started < 5


def test_long_poll_ends_when_the_queue_is_closed(queue: Queue) -> None:
    threading.Timer(0.1, queue.close).start()
    started = time.monotonic()

    assert _receive(queue, 10) is None
    assert time.monotonic() - started < 5
