"""One queue of reports: what is received and not deleted comes again; in memory, thread-safe, bounded."""

from __future__ import annotations

import base64
import heapq
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from otp_service.sandbox.clock import Clock

#: How often a reader that waits looks again, in seconds: the clock may be a test's.
_POLL = 0.05


@dataclass(frozen=True)
class Received:
    """One message as a reader gets it."""

    message_id: str
    #: Deletes the message, as long as it is invisible.
    handle: str
    body: str
    enqueued_at: datetime
    first_received_at: datetime
    next_visible_at: datetime
    times_received: int


@dataclass
class _Held:
    message_id: str
    body: str
    enqueued_at: datetime
    visible_at: datetime
    handle: str = ""
    first_received_at: datetime | None = None
    times_received: int = 0


class MessageGone(LookupError):
    """A handle is too old: its message was deleted, or can be received again."""


class Queue:
    """Messages in the order in which they become visible; the oldest go when there are too many."""

    def __init__(self, clock: Clock, invisible: timedelta, size: int = 10_000) -> None:
        self._clock = clock
        self._invisible = invisible
        self._changed = threading.Condition()
        self._held: deque[_Held] = deque(maxlen=size)
        self._closed = False

    def put(self, body: str, visible_at: datetime) -> None:
        """Add a message that can be received from then on."""
        with self._changed:
            self._held.append(_Held(uuid.uuid4().hex.upper(), body, self._clock(), visible_at))
            self._changed.notify_all()

    def receive(self, wait_seconds: float = 0.0) -> Received | None:
        """Take a visible message, waiting for one so long; it is invisible for a while then."""
        received = self.receive_many(1, wait_seconds)
        return received[0] if received else None

    def receive_many(self, most: int, wait_seconds: float = 0.0) -> list[Received]:
        """Take so many visible messages at most, waiting for the first one so long."""
        deadline = time.monotonic() + wait_seconds
        with self._changed:
            while True:
                received = self._take(most)
                left = deadline - time.monotonic()
                if received or left <= 0 or self._closed:
                    return received
                self._changed.wait(min(left, _POLL))

    def delete(self, handle: str) -> None:
        """Delete the message that came with that handle.

        Raises:
            MessageGone: It is deleted already, or visible again.
        """
        with self._changed:
            now = self._clock()
            for held in self._held:
                if held.handle == handle and now < held.visible_at:
                    self._held.remove(held)
                    return
        raise MessageGone

    def close(self) -> None:
        """Send everybody home who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self, most: int) -> list[Received]:
        now = self._clock()
        visible = [held for held in self._held if held.visible_at <= now]
        first = heapq.nsmallest(most, visible, key=lambda held: held.visible_at)
        return [self._hand_out(held, now) for held in first]

    def _hand_out(self, held: _Held, now: datetime) -> Received:
        held.times_received += 1
        held.first_received_at = held.first_received_at or now
        held.visible_at = now + self._invisible
        held.handle = _handle(held)
        return Received(
            held.message_id,
            held.handle,
            held.body,
            held.enqueued_at,
            held.first_received_at,
            held.visible_at,
            held.times_received,
        )


def _handle(held: _Held) -> str:
    """Name this receiving of a message: clients put it into a URL as it is."""
    inner = f"{int(held.message_id[:8], 16)}-{int(held.visible_at.timestamp())}-{held.times_received}-8"
    return f"{held.times_received}-{base64.b64encode(inner.encode()).decode()}"
