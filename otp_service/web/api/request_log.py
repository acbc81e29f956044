"""The request log: one event per request, whatever its outcome.

It records which client called which endpoint, for which phone, from where, and with which result. Phones and
addresses appear as keyed hashes or masked; codes and proofs never appear.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from contextvars import ContextVar
from dataclasses import dataclass, field

from otp_service.domain.clients import Client
from otp_service.domain.errors import InternalError, OtpError, StoreUnavailable
from otp_service.services.interfaces import Clock, EventLogger
from otp_service.web.api import problems

_LOGGED_MEMBERS = ("limit", "retry_after", "attempts_left")
"""The members of a problem that are logged."""

_READINESS = "readyz"


@dataclass(slots=True)
class RequestLog:
    """What is known about a request so far.

    *client* and *code* are empty until they are known. *origins* are the origins that may read the response.
    *server* is the client if the request has a secret key.
    """

    endpoint: str
    started_at: float
    origins: AbstractSet[str]
    client: str = ""
    server: Client | None = None
    code: str = ""
    facts: dict[str, object] = field(default_factory=dict)

    def add_error(self, error: OtpError, cause: Exception, events: EventLogger) -> None:
        """Record *error*, the result of the request; if it is a bug, log where *cause* was raised."""
        self.code = error.code
        members = error.members()
        self.facts.update((name, members[name]) for name in _LOGGED_MEMBERS if name in members)
        if isinstance(error, InternalError):
            log_unhandled(cause, self.endpoint, events)

    def emit(self, status: int, events: EventLogger, clock: Clock) -> None:
        """Log the request.

        A readiness probe that fails because of the store has an event of its own, since `redis_outage`
        reports the outage once.
        """
        facts = {
            "endpoint": self.endpoint,
            "status": status,
            "code": self.code,
            "client": self.client,
            **self.facts,
            "duration_ms": round((clock.monotonic() - self.started_at) * 1000, 1),
        }
        if self.endpoint == _READINESS and self.code == StoreUnavailable.code:
            events.emit("readiness_failed", **facts)
        else:
            events.emit("http_request", **facts)


class CurrentRequestLog:
    """Implements `interfaces.RequestLogContext` for the current request."""

    def bind(self, **facts: object) -> None:
        """See `interfaces.RequestLogContext.bind`. Does nothing outside of requests."""
        log = _CURRENT.get()
        if log is not None:
            log.facts.update(facts)


_CURRENT: ContextVar[RequestLog | None] = ContextVar("request_log", default=None)


def begin(log: RequestLog) -> None:
    """Make *log* the log of the current request."""
    _CURRENT.set(log)


def end() -> None:
    """Clear the current log, so that later work of this thread is not added to it."""
    _CURRENT.set(None)


def log_unhandled(cause: Exception, endpoint: str, events: EventLogger) -> None:
    """Log type and place of an unhandled exception, but not its text, which may contain anything."""
    events.emit(
        "unhandled_exception",
        endpoint=endpoint,
        error=type(cause).__name__,
        origin=problems.origin(cause),
    )
