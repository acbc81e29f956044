"""Families: every metric that there is, its labels and what it says. Touches nothing.

Names and labels are public. A label's values come from the configuration or from this code, never from a
caller: nothing that a stranger sends makes another series, and no phone, address or key can be one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a metric counts."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. *buckets* are the upper ends of a histogram; *unite* makes one gauge of all processes'."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    unite: Callable[[Iterable[float]], float] = sum


def _counter(name: str, text: str, *labels: str) -> Family:
    return Family(f"otp_service_{name}_total", Kind.COUNTER, text, labels)


def _gauge(name: str, text: str, *labels: str, unite: Callable[[Iterable[float]], float] = sum) -> Family:
    return Family(f"otp_service_{name}", Kind.GAUGE, text, labels, unite=unite)


def _histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...]) -> Family:
    return Family(f"otp_service_{name}_seconds", Kind.HISTOGRAM, text, labels, buckets)


_CALL = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10)
_REDIS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_PERSON = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600)

CALLS = _counter("calls", "Calls of the API, by problem code; ok is a success.", "endpoint", "code")
CALL_SECONDS = _histogram("call", "How long calls took to answer.", "endpoint", buckets=_CALL)
LIMITS = _counter("limits_hit", "Refusals, by the limit or budget that was full.", "limit")

SENDS = _counter("sends", "Sends, by what the caller was told of them.", "route", "outcome", "provider_code")
SMS = _counter("sms", "SMS that were accepted, or may have been.", "route", "country")
DELIVERIES = _counter("deliveries", "SMS whose arrival or loss was reported.", "route", "delivery")
APPROVALS = _counter("approvals", "Verifications that were approved.", "route", "country")
VERIFY = _histogram("time_to_verify", "From the issue of a code to its approval.", "route", buckets=_PERSON)

CHALLENGES = _counter("challenges", "Reasons for which a risk challenge was asked for.", "reason")
GUARD_BLOCKS = _counter("guard_blocks", "Reasons for which the guard let no SMS through.", "reason")
GUARD_TRIPS = _counter("guard_trips", "Times that a scope of the guard changed its level.", "kind", "action")
ALARM = _gauge("wrong_code_alarm", "Level of the day's wrong codes, 0 to 2.", unite=max)

ROUTES = _gauge("routes", "Workers in which a route is ok, paused or open.", "route", "state")
IN_FLIGHT = _gauge("sends_in_flight", "Permits for sends and inquiries that are taken.")
PLACES = _gauge("sends_in_flight_max", "Permits that there are.")
WORKERS = _gauge("workers", "Worker processes that serve.")

REDIS_SECONDS = _histogram("redis", "Round trips to Redis, failed ones too.", buckets=_REDIS)
REDIS_ERRORS = _counter("redis_errors", "Round trips that failed, by the driver's error.", "kind")
REDIS_BUSY = _gauge("redis_connections_busy", "Connections to Redis on which a round trip is under way.")
REDIS_MAX = _gauge("redis_connections_max", "Connections to Redis that there may be.")
LEDGER_LOST = _counter("ledger_entries_lost", "Counts that were not carried to Redis.")

EVENTS = _counter("events", "Every other event of the log.", "event")
LINES_DROPPED = _counter(
    "log_lines_dropped", "Log lines that nobody took in time, or that could not be written."
)

FAMILIES = (
    CALLS,
    CALL_SECONDS,
    LIMITS,
    SENDS,
    SMS,
    DELIVERIES,
    APPROVALS,
    VERIFY,
    CHALLENGES,
    GUARD_BLOCKS,
    GUARD_TRIPS,
    ALARM,
    ROUTES,
    IN_FLIGHT,
    PLACES,
    WORKERS,
    REDIS_SECONDS,
    REDIS_ERRORS,
    REDIS_BUSY,
    REDIS_MAX,
    LEDGER_LOST,
    EVENTS,
    LINES_DROPPED,
)
