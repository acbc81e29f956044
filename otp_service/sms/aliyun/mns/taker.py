"""Tells whether a message is done with, so that it may be deleted. Touches what takes it in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.reports import UnreadableReports
from otp_service.services.interfaces import Clock, EventLogger

SECONDS = 5.0
"""What one message may take; only a reply that is passed on takes more than some milliseconds."""


class Told(Protocol):
    """What became of the items of a message."""

    @property
    def must_retry(self) -> int:
        """How many must be told again."""
        ...


class MessageHandler:
    """Hands bodies to *take*, with a deadline in monotonic seconds."""

    def __init__(self, *, take: Callable[[bytes, float], Told], clock: Clock, events: EventLogger) -> None:
        self._take = take
        self._clock = clock
        self._events = events

    def __call__(self, body: bytes) -> bool:
        """Tell whether *body* is done with: booked, passed on, or such that nobody will ever read it."""
        try:
            return not self._take(body, self._clock.monotonic() + SECONDS).must_retry
        except StoreUnavailable:
            return False
        except UnreadableReports:
            self._events.emit("queue_message_invalid", bytes=len(body))
            return True
