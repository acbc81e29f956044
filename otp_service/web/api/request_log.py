"""Audit: one event per call, whatever its outcome. Touches the events and the clock.

It says who called what, about which phone, from where, and how it ended: by tags and masks, never by a
number, an address, a code or a proof.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from contextvars import ContextVar
from dataclasses import dataclass, field
from wsgiref.types import WSGIEnvironment

from otp_service.domain.clients import Client
from otp_service.domain.errors import InternalError, OtpError, StoreUnavailable
from otp_service.services.interfaces import Clock, EventLogger
from otp_service.web.api import problems

_TOLD = ("limit", "retry_after", "attempts_left")
"""The members of a problem that say something to an auditor."""

_PROBE = "readyz"


@dataclass(slots=True)
class RequestLog:
    """What is known of a call so far; *client* and *code* are empty until they are known.

    *environ* is the request itself, *origins* are the pages that may read the answer; *server* is the client,
    if one of its servers calls.
    """

    endpoint: str
    began: float
    environ: WSGIEnvironment
    origins: AbstractSet[str]
    client: str = ""
    server: Client | None = None
    code: str = ""
    facts: dict[str, object] = field(default_factory=dict)

    def failed(self, error: OtpError, cause: Exception, events: EventLogger) -> None:
        """Note the *error*; if it is a defect of ours, record where the *cause* was raised."""
        self.code = error.code
        members = error.members()
        self.facts.update((name, members[name]) for name in _TOLD if name in members)
        if isinstance(error, InternalError):
            log_unhandled(cause, self.endpoint, events)

    def ended(self, status: int, events: EventLogger, clock: Clock) -> None:
        """Record the call. Of probes that fail with the store, `redis_outage` tells once."""
        facts = {
            "endpoint": self.endpoint,
            "status": status,
            "code": self.code,
            "client": self.client,
            **self.facts,
            "duration_ms": round((clock.monotonic() - self.began) * 1000, 1),
        }
        if self.endpoint == _PROBE and self.code == StoreUnavailable.code:
            events.emit("readiness_failed", **facts)
        else:
            events.emit("http_request", **facts)


class CallNotes:
    """Implements `interfaces.RequestLogContext` for the call that this thread works on."""

    def bind(self, **facts: object) -> None:
        """See `interfaces.RequestLogContext.bind`; outside of calls there is nobody to tell."""
        record = _CURRENT.get()
        if record is not None:
            record.facts.update(facts)


_CURRENT: ContextVar[RequestLog | None] = ContextVar("record", default=None)


def begin(record: RequestLog) -> None:
    """Make *record* the one of the call that this thread works on."""
    _CURRENT.set(record)


def end() -> None:
    """Forget it, so that the thread's later work is not booked on this call."""
    _CURRENT.set(None)


def log_unhandled(cause: Exception, endpoint: str, events: EventLogger) -> None:
    """Record a defect by its type and place; its text may hold anything and is not told."""
    events.emit(
        "unhandled_exception",
        endpoint=endpoint,
        error=type(cause).__name__,
        origin=problems.origin(cause),
    )
