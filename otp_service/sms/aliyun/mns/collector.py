"""Collects what lies in one queue: receives, has it taken, deletes. Touches what queue and taker touch.

At least once: a message is deleted after it was taken, never before. What was not taken, or was taken by a
process that died before it could delete it, comes again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from otp_service.services.interfaces import Clock, EventLogger
from otp_service.sms.aliyun.mns.backoff import Backoff
from otp_service.sms.aliyun.mns.message import Message
from otp_service.sms.aliyun.mns.queue import Queue
from otp_service.sms.aliyun.mns.trouble import QueueError

WAIT_SECONDS = 20
"""How long a call waits for a message. A long one costs less, and a message ends it at once."""

DRAIN_WAIT_SECONDS = 1
"""The same when only what is there is wanted: a call that does not wait at all may miss some."""

LEAST_SECONDS = 1.0
"""From one empty answer to the next call, should a queue not wait as it was asked to."""

HOLD_SECONDS = 15.0
"""How long a batch is worked on. Then the rest is left: it is about to come again anyway."""

Take = Callable[[bytes], bool]
"""Takes care of the body of a message; False when it must come again. A body that nobody can read is True."""


@dataclass(frozen=True, slots=True)
class Batch:
    """How many messages were *received*, and how many of them *taken*."""

    received: int = 0
    taken: int = 0


class QueueConsumer:
    """Collects from *queue*, which the log calls *name*, until *stop* is set."""

    def __init__(
        self,
        *,
        name: str,
        queue: Queue,
        take: Take,
        clock: Clock,
        events: EventLogger,
        stop: threading.Event,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = name
        self._queue = queue
        self._take = take
        self._clock = clock
        self._events = events
        self._stop = stop
        self._backoff = backoff or Backoff()
        self._at_work = threading.RLock()
        self._troubles: set[tuple[str, str]] = set()

    def run(self) -> None:
        """Collect until it is time to stop."""
        while not self._stop.is_set():
            began = self._clock.monotonic()
            batch = self._batch_or_none(WAIT_SECONDS)
            if batch is None or batch.taken < batch.received:
                self._stop.wait(self._backoff.next())
                continue
            self._backoff.reset()
            if not batch.received:
                self._stop.wait(LEAST_SECONDS - (self._clock.monotonic() - began))

    def drain(self) -> bool:
        """Collect what is there; tell whether all of it was taken."""
        all_taken = True
        while not self._stop.is_set():
            batch = self._batch_or_none(DRAIN_WAIT_SECONDS)
            if batch is None:
                return False
            all_taken = all_taken and batch.taken == batch.received
            if not batch.taken:  # nothing there, or nothing that can be taken now
                return all_taken
        return False

    def finish(self, seconds: float) -> bool:
        """Wait until no message is in hand, *stop* being set; tell whether that was so within *seconds*.

        From then on it takes no message and records no event, so that the process may end.
        """
        return self._at_work.acquire(timeout=seconds)

    def close(self) -> None:
        """Close the idle connections."""
        self._queue.close()

    def _batch_or_none(self, wait_seconds: int) -> Batch | None:
        """Collect one batch; None after a failure, which is recorded once until a batch succeeds."""
        try:
            batch = self._batch(wait_seconds)
        except QueueError as trouble:
            call, code = trouble.call, trouble.code
        except Exception as error:  # noqa: BLE001 - whatever it is, the next batch is worth a try
            call, code = "collect", type(error).__name__
        else:
            if self._troubles:
                self._troubles.clear()
                self._note("queue_restored")
            self._note_read("ok")
            return batch
        self._note_read("failed")
        if not self._stop.is_set() and (call, code) not in self._troubles:
            self._troubles.add((call, code))
            self._note("queue_error", call=call, code=code)
        return None

    def _note_read(self, result: str) -> None:
        """Record each read of the queue, so that metrics show when there are none."""
        if not self._stop.is_set():
            self._note("queue_read", result=result)

    def _batch(self, wait_seconds: int) -> Batch:
        messages = self._queue.receive(wait_seconds)
        with self._at_work:
            taken = self._taken(messages)
            if taken:
                self._queue.delete([message.handle for message in taken])
            if messages:
                self._note("queue_batch", received=len(messages), taken=len(taken))
        return Batch(len(messages), len(taken))

    def _taken(self, messages: Sequence[Message]) -> list[Message]:
        """Have one message after the other taken; one that is not does not keep those behind it waiting."""
        until = self._clock.monotonic() + HOLD_SECONDS
        taken: list[Message] = []
        for message in messages:
            if self._stop.is_set() or self._clock.monotonic() >= until:
                break
            if self._takes(message):
                taken.append(message)
        return taken

    def _takes(self, message: Message) -> bool:
        try:
            return self._take(message.body)
        except Exception as error:  # noqa: BLE001 - a defect of the taker must not end the collecting
            self._note("queue_message_failed", error=type(error).__name__)
            return False

    def _note(self, event: str, **facts: object) -> None:
        with self._at_work:
            self._events.emit(event, queue=self.name, **facts)
