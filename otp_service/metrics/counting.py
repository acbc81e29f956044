"""Counting: the one place where events become metrics. Touches nothing.

Each event that means more than that it happened has a rule here; every other one is counted by its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any

from otp_service.aliyun.codes import CODES, PNVS_CODES
from otp_service.metrics import families
from otp_service.metrics.meter import Meter

OK = "ok"
OTHER = "other"

_SCOPES = ("country", "prefix", "client", "address")
_FROM_NOUGHT = (
    *((families.GUARD_TRIPS, trip) for trip in product(_SCOPES, ("none", "challenge", "block"))),
    (families.LIMITS, ("client_sms_per_day",)),
    (families.LIMITS, ("service_sms_per_day",)),
    (families.CALLS, ("request", "store_unavailable")),
    (families.CALLS, ("verify", "store_unavailable")),
)

_WENT_OUT = frozenset({"accepted", "unknown"})
_ARRIVALS = frozenset({"delivered", "undelivered"})
_OURS = re.compile(r"local\.[a-z_]{1,40}|http_[0-9]{3}|destination_rejected")
"""The codes that this service and its webhooks write."""

Facts = Mapping[str, Any]


class CountedEvents:
    """Implements `ports.Events` by counting on *meter*.

    What somebody may want to be woken by, *expected* events among it, begins with nought: of a series that
    begins with one Prometheus never sees the increase.
    """

    def __init__(self, meter: Meter, expected: Iterable[str] = ()) -> None:
        self._meter = meter
        for event in set(expected) - _RULES.keys():
            meter.count(families.EVENTS, event, by=0)
        for family, labels in _FROM_NOUGHT:
            meter.count(family, *labels, by=0)

    def emit(self, event: str, **facts: object) -> None:
        """Count *event*."""
        rule = _RULES.get(event)
        if rule is None:
            self._meter.count(families.EVENTS, event)
        else:
            rule(self._meter, facts)


def provider_code(code: str) -> str:
    """Return *code* if its meaning is known, else `other`: what a provider says may be anything."""
    is_known = not code or code in CODES or code in PNVS_CODES or _OURS.fullmatch(code)
    return code if is_known else OTHER


def _call(meter: Meter, facts: Facts) -> None:
    endpoint = facts["endpoint"]
    meter.count(families.CALLS, endpoint, facts["code"] or OK)
    meter.observe(families.CALL_SECONDS, facts["duration_ms"] / 1000, endpoint)
    if "limit" in facts:
        meter.count(families.LIMITS, facts["limit"])
    if "verified_after" in facts:
        meter.count(families.APPROVALS, facts["route"], facts["country"])
        meter.observe(families.VERIFY, facts["verified_after"], facts["route"])


def _send(meter: Meter, facts: Facts) -> None:
    route, outcome = facts["route"], facts["outcome"]
    meter.count(families.SENDS, route, outcome, provider_code(facts["provider_code"]))
    if outcome in _WENT_OUT:
        meter.count(families.SMS, route, facts["country"])


def _round_trip(meter: Meter, facts: Facts) -> None:
    meter.observe(families.REDIS_SECONDS, facts["duration_ms"] / 1000)


def _report(meter: Meter, facts: Facts) -> None:
    _arrival(meter, facts["route"], facts["delivery"])


def _inquiry(meter: Meter, facts: Facts) -> None:
    _arrival(meter, facts["route"], facts["finding"])


def _arrival(meter: Meter, route: str, delivery: str) -> None:
    if delivery in _ARRIVALS:
        meter.count(families.DELIVERIES, route, delivery)


def _challenge(meter: Meter, facts: Facts) -> None:
    for reason in facts["limits"]:
        meter.count(families.CHALLENGES, reason)


def _blocked(meter: Meter, facts: Facts) -> None:
    for reason in facts["limits"]:
        meter.count(families.GUARD_BLOCKS, reason)


def _tripped(meter: Meter, facts: Facts) -> None:
    """Count by the kind of scope; its name is a tag in half of them."""
    meter.count(families.GUARD_TRIPS, facts["scope"].partition(":")[0], facts["action"])


def _store_error(meter: Meter, facts: Facts) -> None:
    meter.count(families.REDIS_ERRORS, facts["kind"])


def _ledger_lost(meter: Meter, facts: Facts) -> None:
    meter.count(families.LEDGER_LOST, by=facts["entries"])


_RULES: Mapping[str, Callable[[Meter, Facts], None]] = {
    "call": _call,
    "send": _send,
    "round_trip": _round_trip,
    "report": _report,
    "inquiry": _inquiry,
    "challenge_required": _challenge,
    "guard_blocked": _blocked,
    "guard_tripped": _tripped,
    "store_error": _store_error,
    "ledger_lost": _ledger_lost,
}
