from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from otp_service.sandbox.queue import MessageGone, Queue

INVISIBLE = timedelta(seconds=30)


@pytest.fixture
def queue(clock: Any) -> Queue:
    return Queue(clock, INVISIBLE, size=3)


def _bodies(queue: Queue) -> list[str]:
    received = iter(queue.receive, None)
    return [message.body for message in received if message is not None]


def test_messages_come_in_order(queue: Queue, clock: Any) -> None:
    for body in "abc":
        queue.put(body, clock())

    assert _bodies(queue) == ["a", "b", "c"]


def test_message_comes_when_it_is_visible(queue: Queue, clock: Any) -> None:
    queue.put("late", clock() + timedelta(seconds=2))
    queue.put("early", clock() + timedelta(seconds=1))
    before = queue.receive()
    clock.advance(seconds=2)

    assert before is None
    assert _bodies(queue) == ["early", "late"]


def test_message_that_is_not_deleted_comes_again(queue: Queue, clock: Any) -> None:
    queue.put("a", clock())
    first = queue.receive()
    clock.advance(seconds=29.9)
    hidden = queue.receive()
    clock.advance(seconds=0.1)
    second = queue.receive()

    assert hidden is None
    assert first
    assert second
    assert [first.times_received, second.times_received] == [1, 2]
    assert first.message_id == second.message_id
    assert first.handle != second.handle
    assert first.first_received_at == second.first_received_at


def test_deleted_message_never_comes_again(queue: Queue, clock: Any) -> None:
    queue.put("a", clock())
    received = queue.receive()
    assert received
    queue.delete(received.handle)
    clock.advance(hours=1)

    assert queue.receive() is None
    with pytest.raises(MessageGone):
        queue.delete(received.handle)


def test_handle_is_too_old_when_its_message_is_visible_again(queue: Queue, clock: Any) -> None:
    queue.put("a", clock())
    received = queue.receive()
    assert received
    clock.advance(seconds=30)

    with pytest.raises(MessageGone):
        queue.delete(received.handle)


def test_handle_of_an_earlier_receiving_is_too_old(queue: Queue, clock: Any) -> None:
    queue.put("a", clock())
    first = queue.receive()
    assert first
    clock.advance(seconds=30)
    queue.receive()

    with pytest.raises(MessageGone):
        queue.delete(first.handle)


def test_handle_needs_no_encoding_in_a_url(queue: Queue, clock: Any) -> None:
    queue.put("a", clock())
    received = queue.receive()

    assert received
    assert set(received.handle) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-=")


def test_oldest_message_goes_when_there_are_too_many(queue: Queue, clock: Any) -> None:
    for body in "abcd":
        queue.put(body, clock())

    assert _bodies(queue) == ["b", "c", "d"]


def test_reader_waits_for_a_message(queue: Queue, clock: Any) -> None:
    threading.Timer(0.1, queue.put, ["a", clock()]).start()
    started = time.monotonic()
    received = queue.receive(10)

    assert received
    assert 0.05 < time.monotonic() - started < 5


def test_reader_waits_no_longer_than_it_said(queue: Queue) -> None:
    started = time.monotonic()

    assert queue.receive(0.2) is None
    assert 0.15 < time.monotonic() - started < 5


def test_reader_goes_home_when_the_queue_is_closed(queue: Queue) -> None:
    threading.Timer(0.1, queue.close).start()
    started = time.monotonic()

    assert queue.receive(10) is None
    assert time.monotonic() - started < 5
