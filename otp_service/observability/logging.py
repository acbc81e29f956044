"""Events as JSON log lines, and a handler that turns the log records of libraries into such lines.

Each line is one JSON object in ASCII, so untrusted text can neither end a line nor send control codes to a
terminal. A value that is not a plain JSON value is replaced by the name of its type. Text that looks like an
API key or a phone number is replaced too, as a last defense: callers must not pass such text at all.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

import structlog
from structlog.typing import EventDict

from otp_service.services.interfaces import EventLogger

LINE_FIELDS = frozenset({"time", "level", "event", "request_id"})
"""Fields that the logger itself writes. No event may have a fact with one of these names."""

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_INFO = frozenset(
    {
        "alarm_cleared",
        "challenge_required",
        "circuit_closed",
        "delivery_lookup",
        "delivery_report",
        "delivery_report_batch",
        "http_request",
        "inbound_sms",
        "library_log",
        "limits_cleared",
        "phone_erased",
        "phone_unlocked",
        "queue_batch",
        "queue_restored",
        "reloaded",
        "reports_started",
        "reports_stopped",
        "sms_send",
        "started",
        "stopped",
    }
)

_LEVELS = {
    "error": frozenset(
        {
            "provider_exception",
            "queue_message_failed",
            "route_suspended",
            "store_schema_newer",
            "unhandled_exception",
        }
    ),
    "warning": frozenset(
        {
            "circuit_opened",
            "client_ip_missing",
            "client_ip_unreadable",
            "clock_skew",
            "configuration_warning",
            "counter_flush_failed",
            "global_failure_level_changed",
            "inbound_sms_forward_failed",
            "pumping_guard_blocked",
            "pumping_guard_state_changed",
            "queue_error",
            "queue_message_invalid",
            "redis_error",
            "redis_outage",
            "reload_failed",
            "report_unreadable",
            "route_failover",
            "send_result_not_recorded",
        }
    ),
    "debug": frozenset(
        {
            "background_redis_error",
            "queue_read",
            "readiness_failed",
            "redis_roundtrip",
        }
    ),
}
"""Events whose level is not `info`."""

EVENTS = _INFO.union(*_LEVELS.values())
"""All events."""

_LEVEL_OF = {event: level for level, events in _LEVELS.items() for event in events}

_HIDDEN = "<hidden>"
_SECRET = re.compile(r"[sp]k_[A-Za-z0-9_-]{8}|(?<![0-9A-Za-z])\+?\d[\d -]{9,17}(?![0-9A-Za-z^])")
_SHORTEST_SECRET = 10
"""In characters. Shorter facts, which are most of them, are not searched for `_SECRET`."""

_JSON = json.JSONEncoder(separators=(",", ":"))
"""Created once: structlog's `JSONRenderer` would create an encoder for every line."""

_LOGGERS_WITH_HANDLERS = ("werkzeug",)
"""Loggers to which their libraries add handlers."""


class Output(Protocol):
    """The file-like object that lines are written to."""

    def write(self, line: bytes, /) -> int:
        """Write *line*."""
        ...

    def flush(self) -> None:
        """Flush buffered lines."""
        ...


class JsonEventLogger:
    """Implements `interfaces.EventLogger` with structlog: writes events of *level* and above to *output*.

    *request_id* returns the id of the request that the calling thread serves, *clock* the time in Unix
    seconds. structlog's configuration and context variables are global, and the process may belong to another
    application. This class uses neither, so the two applications' facts never mix.
    """

    def __init__(
        self,
        output: Output,
        *,
        level: str = "info",
        clock: Callable[[], float],
        request_id: Callable[[], str] = str,
    ) -> None:
        self._clock = clock
        self._request_id = request_id
        self._log = structlog.wrap_logger(
            _Lines(output),
            processors=[self._line, _encode],
            wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        ).bind()

    def emit(self, event: str, **facts: object) -> None:
        """Write *event* with its *facts* at the level of the event."""
        self.write(_LEVEL_OF.get(event, "info"), event, facts)

    def write(self, level: str, event: str, facts: Mapping[str, object]) -> None:
        """Write *event* at *level*.

        A fact never overwrites one of `LINE_FIELDS`: it is written as `fact_<name>` instead.
        """
        if not self._log.is_enabled_for(LEVELS[level]):
            return
        named = {f"fact_{name}" if name in LINE_FIELDS else name: value for name, value in facts.items()}
        self._log.log(LEVELS[level], event, **named)

    def _line(self, _: object, level: str, facts: EventDict) -> EventDict:
        """Return the fields of a line: `LINE_FIELDS`, and then the redacted *facts*."""
        line = {"time": _rfc3339(self._clock()), "level": level, "event": facts.pop("event")}
        if request_id := self._request_id():
            line["request_id"] = request_id
        for name, value in facts.items():
            line[name] = _redact(value)
        return line


class _Lines:
    """The logger that structlog wraps. structlog's own loggers hold a lock that a fork could leave locked."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def _write(self, line: str) -> None:
        self._output.write(line.encode() + b"\n")
        self._output.flush()

    debug = info = warning = error = _write


class CompositeEventLogger:
    """Implements `interfaces.EventLogger`: passes each event to all *loggers*."""

    def __init__(self, *loggers: EventLogger) -> None:
        self._loggers = loggers

    def emit(self, event: str, **facts: object) -> None:
        """Pass *event* on."""
        for logger in self._loggers:
            logger.emit(event, **facts)


def install_logging_handler(events: JsonEventLogger) -> None:
    """Send log records of libraries, from WARNING upwards, to *events*."""
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _Handler):
            root.removeHandler(handler)
    root.addHandler(_Handler(events))
    root.setLevel(logging.WARNING)
    for name in _LOGGERS_WITH_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING)


class _Handler(logging.Handler):
    """Logs the logger's name and the message template only: arguments and exceptions may contain secrets."""

    def __init__(self, events: JsonEventLogger) -> None:
        super().__init__(logging.WARNING)
        self._events = events

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        facts = {"logger": record.name, "message": str(record.msg).partition("\n")[0][:200]}
        if record.exc_info and record.exc_info[0]:
            facts["error"] = record.exc_info[0].__name__
        self._events.write(level, "library_log", facts)


def _redact(value: object) -> object:
    if isinstance(value, str):
        return _HIDDEN if len(value) >= _SHORTEST_SECRET and _SECRET.search(value) else value
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, list | tuple):
        return [_redact(item) for item in value]
    return f"<{type(value).__name__}>"


def _encode(_: object, __: str, facts: EventDict) -> str:
    return _JSON.encode(facts)


def _rfc3339(seconds: float) -> str:
    return f"{_whole_second(int(seconds))}.{int(seconds * 1000) % 1000:03}Z"


@lru_cache(maxsize=2)
def _whole_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
