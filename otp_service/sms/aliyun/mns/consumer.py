"""Consumes one queue: receives messages, passes them to a handler, and deletes those that were processed.

Delivery is at least once: a message is deleted after it was processed, never before. A message that was not
processed is received again, and so is one whose process died before it could delete it.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.reports import UnreadableReports
from otp_service.services.interfaces import Clock, EventLogger
from otp_service.sms.aliyun.mns.messages import Message, QueueError
from otp_service.sms.aliyun.mns.queue import Queue

WAIT_SECONDS = 20
"""Seconds that a call waits for a message. Long waits cost less, and a message ends the wait at once."""

DRAIN_WAIT_SECONDS = 1
"""The same when only existing messages are wanted: a call that does not wait at all may miss some."""

MIN_INTERVAL_SECONDS = 1.0
"""Seconds from one empty response to the next call, in case a queue does not wait as requested."""

BATCH_SECONDS = 15.0
"""Seconds for which a batch is processed. The rest is left: it will soon be received again anyway."""

MESSAGE_SECONDS = 5.0
"""Time limit of one message in seconds. Only forwarding an inbound SMS takes more than a few milliseconds."""

FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 30.0

Handle = Callable[[bytes], bool]
"""Processes the body of a message; False if it must be received again, True if it cannot be parsed."""

_random = secrets.SystemRandom().random


class BatchResult(Protocol):
    """The result of processing a message with several items."""

    @property
    def must_retry(self) -> int:
        """The number of items that must be received again."""
        ...


class MessageHandler:
    """Passes bodies to *process*, with a deadline in monotonic seconds."""

    def __init__(
        self, *, process: Callable[[bytes, float], BatchResult], clock: Clock, events: EventLogger
    ) -> None:
        self._process = process
        self._clock = clock
        self._events = events

    def __call__(self, body: bytes) -> bool:
        """Process *body*; return whether it can be deleted, which is also true if it can never be parsed."""
        try:
            return not self._process(body, self._clock.monotonic() + MESSAGE_SECONDS).must_retry
        except StoreUnavailable:
            return False
        except UnreadableReports:
            self._events.emit("queue_message_invalid", bytes=len(body))
            return True


class Backoff:
    """Waits that double from one failure to the next, up to `MAX_BACKOFF_SECONDS`.

    Each is shortened by a *random* fraction (0 to 1) of its half, so that workers that failed together do not
    retry together.
    """

    def __init__(self, random: Callable[[], float] = _random) -> None:
        self._random = random
        self._failures = 0

    def next(self) -> float:
        """Return the seconds to wait after another failure."""
        seconds = min(FIRST_BACKOFF_SECONDS * 2.0 ** min(self._failures, 16), MAX_BACKOFF_SECONDS)
        self._failures += 1
        return seconds * (1 - self._random() / 2)

    def reset(self) -> None:
        """Start again with the shortest wait, after a success."""
        self._failures = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """How many messages were *received*, and how many of them were *processed*."""

    received: int = 0
    processed: int = 0


class QueueConsumer:
    """Consumes *queue*, which the log calls *name*, until *stop* is set."""

    def __init__(
        self,
        *,
        name: str,
        queue: Queue,
        handle: Handle,
        clock: Clock,
        events: EventLogger,
        stop: threading.Event,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = name
        self._queue = queue
        self._handle = handle
        self._clock = clock
        self._events = events
        self._stop = stop
        self._backoff = backoff or Backoff()
        self._at_work = threading.RLock()
        self._logged_errors: set[tuple[str, str]] = set()

    def run(self) -> None:
        """Consume until *stop* is set."""
        while not self._stop.is_set():
            began = self._clock.monotonic()
            batch = self._batch_or_none(WAIT_SECONDS)
            if batch is None or batch.processed < batch.received:
                self._stop.wait(self._backoff.next())
                continue
            self._backoff.reset()
            if not batch.received:
                self._stop.wait(MIN_INTERVAL_SECONDS - (self._clock.monotonic() - began))

    def drain(self) -> bool:
        """Consume the messages that are there; return whether all of them were processed."""
        all_processed = True
        while not self._stop.is_set():
            batch = self._batch_or_none(DRAIN_WAIT_SECONDS)
            if batch is None:
                return False
            all_processed = all_processed and batch.processed == batch.received
            if not batch.processed:  # the queue is empty, or nothing can be processed now
                return all_processed
        return False

    def finish(self, seconds: float) -> bool:
        """After *stop* was set, wait for the message in progress; return whether it ended within *seconds*.

        From then on, the consumer processes no message and logs no event, so that the process may end.
        """
        return self._at_work.acquire(timeout=seconds)

    def close(self) -> None:
        """Close idle connections."""
        self._queue.close()

    def _batch_or_none(self, wait_seconds: int) -> Batch | None:
        """Consume one batch; None after an error, which is logged once until a batch succeeds."""
        try:
            batch = self._batch(wait_seconds)
        except QueueError as error:
            call, code = error.call, error.code
        except Exception as error:  # noqa: BLE001 - whatever it is, the next batch may succeed
            call, code = "collect", type(error).__name__
        else:
            if self._logged_errors:
                self._logged_errors.clear()
                self._emit("queue_restored")
            self._log_read("ok")
            return batch
        self._log_read("failed")
        if not self._stop.is_set() and (call, code) not in self._logged_errors:
            self._logged_errors.add((call, code))
            self._emit("queue_error", call=call, code=code)
        return None

    def _log_read(self, result: str) -> None:
        """Log each read of the queue, so that metrics show when there are none."""
        if not self._stop.is_set():
            self._emit("queue_read", result=result)

    def _batch(self, wait_seconds: int) -> Batch:
        messages = self._queue.receive(wait_seconds)
        with self._at_work:
            processed = self._process(messages)
            if processed:
                self._queue.delete([message.handle for message in processed])
            if messages:
                self._emit("queue_batch", received=len(messages), processed=len(processed))
        return Batch(len(messages), len(processed))

    def _process(self, messages: Sequence[Message]) -> list[Message]:
        """Process one message after the other. One that fails does not block those after it."""
        until = self._clock.monotonic() + BATCH_SECONDS
        processed: list[Message] = []
        for message in messages:
            if self._stop.is_set() or self._clock.monotonic() >= until:
                break
            if self._is_processed(message):
                processed.append(message)
        return processed

    def _is_processed(self, message: Message) -> bool:
        try:
            return self._handle(message.body)
        except Exception as error:  # noqa: BLE001 - a bug in the handler must not stop the consumer
            self._emit("queue_message_failed", error=type(error).__name__)
            return False

    def _emit(self, event: str, **facts: object) -> None:
        with self._at_work:
            self._events.emit(event, queue=self.name, **facts)
