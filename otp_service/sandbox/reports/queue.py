"""An MNS queue: a message that is received but not deleted becomes visible again.

In memory, thread-safe and bounded.
"""

from __future__ import annotations

import base64
import heapq
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from otp_service.sandbox.config import Clock

#: How often a long poll checks the queue, in seconds. Tests may move the clock at any time.
_POLL = 0.05


@dataclass(frozen=True)
class ReceivedMessage:
    """A message as a consumer receives it."""

    message_id: str
    #: Deletes the message while it is invisible.
    receipt_handle: str
    body: str
    enqueued_at: datetime
    first_received_at: datetime
    next_visible_at: datetime
    receive_count: int


@dataclass
class _QueuedMessage:
    message_id: str
    body: str
    enqueued_at: datetime
    visible_at: datetime
    receipt_handle: str = ""
    first_received_at: datetime | None = None
    receive_count: int = 0


class StaleReceiptHandle(LookupError):
    """The message of a receipt handle was deleted, or is visible again."""


class Queue:
    """Messages in the order in which they become visible. A full queue drops its oldest messages."""

    def __init__(self, clock: Clock, visibility_timeout: timedelta, max_size: int = 10_000) -> None:
        self._clock = clock
        self._visibility_timeout = visibility_timeout
        self._changed = threading.Condition()
        self._messages: deque[_QueuedMessage] = deque(maxlen=max_size)
        self._closed = False

    def put(self, body: str, visible_at: datetime) -> None:
        """Add a message that can be received from *visible_at* on."""
        with self._changed:
            message = _QueuedMessage(uuid.uuid4().hex.upper(), body, self._clock(), visible_at)
            self._messages.append(message)
            self._changed.notify_all()

    def receive(self, max_messages: int = 1, wait_seconds: float = 0.0) -> list[ReceivedMessage]:
        """Receive visible messages, and hide them for the visibility timeout.

        Waits up to *wait_seconds* for the first message.
        """
        deadline = time.monotonic() + wait_seconds
        with self._changed:
            while True:
                received = self._receive_visible(max_messages)
                remaining = deadline - time.monotonic()
                if received or remaining <= 0 or self._closed:
                    return received
                self._changed.wait(min(remaining, _POLL))

    def delete(self, receipt_handle: str) -> None:
        """Delete a received message.

        Raises:
            StaleReceiptHandle: The message was deleted already, or is visible again.
        """
        with self._changed:
            now = self._clock()
            for message in self._messages:
                if message.receipt_handle == receipt_handle and now < message.visible_at:
                    self._messages.remove(message)
                    return
        raise StaleReceiptHandle

    def close(self) -> None:
        """End all long polls."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _receive_visible(self, max_messages: int) -> list[ReceivedMessage]:
        now = self._clock()
        visible = [message for message in self._messages if message.visible_at <= now]
        first = heapq.nsmallest(max_messages, visible, key=lambda message: message.visible_at)
        return [self._mark_received(message, now) for message in first]

    def _mark_received(self, message: _QueuedMessage, now: datetime) -> ReceivedMessage:
        message.receive_count += 1
        message.first_received_at = message.first_received_at or now
        message.visible_at = now + self._visibility_timeout
        message.receipt_handle = _new_receipt_handle(message)
        return ReceivedMessage(
            message.message_id,
            message.receipt_handle,
            message.body,
            message.enqueued_at,
            message.first_received_at,
            message.visible_at,
            message.receive_count,
        )


def _new_receipt_handle(message: _QueuedMessage) -> str:
    """Create the handle of one receipt. It needs no encoding in a URL, as clients do not encode it."""
    visible_at = int(message.visible_at.timestamp())
    inner = f"{int(message.message_id[:8], 16)}-{visible_at}-{message.receive_count}-8"
    return f"{message.receive_count}-{base64.b64encode(inner.encode()).decode()}"
