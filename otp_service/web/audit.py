"""Audit: one event per call, whatever its outcome. Touches the events and the clock.

It says who called what and how it ended; never a phone, a code or a proof.
"""

from __future__ import annotations

from dataclasses import dataclass

from otp_service.errors import InternalError, OtpError
from otp_service.ports import Clock, Events
from otp_service.web import problems, request_id


@dataclass(slots=True)
class Record:
    """What is known of a call so far; *client* and *code* are empty until they are known."""

    endpoint: str
    began: float
    client: str = ""
    code: str = ""

    def failed(self, error: OtpError, cause: Exception, events: Events) -> None:
        """Note the *error*; if it is a defect of ours, record where the *cause* was raised."""
        self.code = error.code
        if isinstance(error, InternalError):
            defect(cause, self.endpoint, events)

    def ended(self, status: int, events: Events, clock: Clock) -> None:
        """Record the call."""
        events.emit(
            "call",
            endpoint=self.endpoint,
            status=status,
            code=self.code,
            client=self.client,
            duration_ms=round((clock.monotonic() - self.began) * 1000, 1),
            request_id=request_id.current(),
        )


def defect(cause: Exception, endpoint: str, events: Events) -> None:
    """Record a defect by its type and place; its text may hold anything and is not told."""
    events.emit(
        "internal_error",
        endpoint=endpoint,
        error=type(cause).__name__,
        origin=problems.origin(cause),
        request_id=request_id.current(),
    )
