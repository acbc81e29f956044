from __future__ import annotations

from typing import Any

import pytest

from otp_service.events import LOUD
from otp_service.metrics import FAMILIES, CountedEvents, Meter, families
from otp_service.metrics.families import Family
from otp_service.metrics.meter import Reading

CALL: dict[str, Any] = {"endpoint": "verify", "status": 200, "code": "", "client": "shop", "duration_ms": 3.1}
SEND: dict[str, Any] = {
    "phone": "hxxeMLMgGzH0-fls",
    "phone_masked": "+86 138****8000",
    "country": "CN",
    "client": "shop",
    "outcome": "accepted",
    "route": "main",
    "provider_code": "OK",
}


def counted(event: str, **facts: object) -> Reading:
    meter = Meter()
    CountedEvents(meter).emit(event, **facts)
    return meter.read()


def of(reading: Reading, family: Family) -> dict[tuple[str, ...], float]:
    return {labels: n for (name, labels), n in reading.counters.items() if name == family.name and n}


def test_success_counts_as_ok() -> None:
    assert of(counted("call", **CALL), families.CALLS) == {("verify", "ok"): 1}


def test_refusal_counts_by_its_code_and_limit() -> None:
    reading = counted("call", **{**CALL, "code": "limit_reached", "limit": "phone_sends_per_hour"})

    assert of(reading, families.CALLS) == {("verify", "limit_reached"): 1}
    assert of(reading, families.LIMITS) == {("phone_sends_per_hour",): 1}


def test_duration_falls_into_its_bucket() -> None:
    row = counted("call", **CALL).histograms[families.CALL_SECONDS.name, ("verify",)]

    assert row[families.CALL_SECONDS.buckets.index(0.005)] == 1
    assert sum(row[:-1]) == 1
    assert row[-1] == pytest.approx(0.0031)


def test_approval_counts_by_route_and_country_with_its_time() -> None:
    reading = counted("call", **CALL, route="main", country="CN", verified_after=12.0)

    assert of(reading, families.APPROVALS) == {("main", "CN"): 1}
    assert reading.histograms[families.VERIFY.name, ("main",)][-1] == 12


@pytest.mark.parametrize(
    ("outcome", "went_out"), [("accepted", 1), ("unknown", 1), ("withdrawn", 0), ("rejected", 0)]
)
def test_send_counts_as_sms_if_it_may_have_gone_out(outcome: str, went_out: int) -> None:
    reading = counted("send", **{**SEND, "outcome": outcome})

    assert of(reading, families.SENDS) == {("main", outcome, "OK"): 1}
    assert of(reading, families.SMS) == ({("main", "CN"): 1} if went_out else {})


@pytest.mark.parametrize(
    ("code", "label"),
    [
        ("isv.BUSINESS_LIMIT_CONTROL", "isv.BUSINESS_LIMIT_CONTROL"),
        ("local.breaker_open", "local.breaker_open"),
        ("http_503", "http_503"),
        ("", ""),
        ("isv.13800138000", "other"),
        ("+8613800138000", "other"),
        ("sk_live-abcdefghijkl", "other"),
        ("local." + "x" * 41, "other"),
        ("http_13800138000", "other"),
    ],
)
def test_code_that_nobody_knows_makes_no_series_of_its_own(code: str, label: str) -> None:
    assert of(counted("send", **{**SEND, "provider_code": code}), families.SENDS) == {
        ("main", "accepted", label): 1
    }


@pytest.mark.parametrize(
    ("event", "facts"),
    [
        ("report", {"route": "main", "delivery": "delivered"}),
        ("inquiry", {"route": "main", "finding": "delivered"}),
    ],
)
def test_arrival_counts_whoever_tells_of_it(event: str, facts: dict[str, object]) -> None:
    assert of(counted(event, **facts), families.DELIVERIES) == {("main", "delivered"): 1}


@pytest.mark.parametrize("finding", ["silent", "absent", "unasked", "accepted"])
def test_inquiry_without_an_end_counts_as_no_arrival(finding: str) -> None:
    assert of(counted("inquiry", route="main", finding=finding), families.DELIVERIES) == {}


@pytest.mark.parametrize(
    ("event", "family"),
    [("challenge_required", families.CHALLENGES), ("guard_blocked", families.GUARD_BLOCKS)],
)
def test_every_reason_counts(event: str, family: Family) -> None:
    reading = counted(event, phone="tag", limits=["guard_country", "phone_slow_lane"])

    assert of(reading, family) == {("guard_country",): 1, ("phone_slow_lane",): 1}


def test_scope_of_the_guard_counts_by_its_kind_alone() -> None:
    reading = counted("guard_tripped", scope="address:AAAA-tag", action="block", unverified=9.0)

    assert of(reading, families.GUARD_TRIPS) == {("address", "block"): 1}


def test_trouble_with_redis_counts() -> None:
    assert of(counted("store_error", kind="TimeoutError"), families.REDIS_ERRORS) == {("TimeoutError",): 1}
    assert of(counted("ledger_lost", entries=3), families.LEDGER_LOST) == {(): 3}
    assert counted("round_trip", duration_ms=250).histograms[families.REDIS_SECONDS.name, ()][-1] == 0.25


def test_event_without_a_rule_counts_by_its_name() -> None:
    assert of(counted("route_paused", route="main"), families.EVENTS) == {("route_paused",): 1}


def test_what_alerts_wait_for_begins_with_nought() -> None:
    """Of a series that begins with one Prometheus never sees the increase."""
    meter = Meter()
    CountedEvents(meter, LOUD)
    counters = meter.read().counters

    assert counters[families.EVENTS.name, ("settlement_lost",)] == 0
    assert counters[families.GUARD_TRIPS.name, ("prefix", "block")] == 0
    assert (families.EVENTS.name, ("store_error",)) not in counters  # it has a metric of its own
    assert set(counters.values()) == {0}


def test_names_are_spelled_as_prometheus_wants_them() -> None:
    for family in FAMILIES:
        assert family.name.startswith("otp_service_")
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert family.name.endswith("_seconds") == (family.kind == "histogram")
        assert list(family.buckets) == sorted(family.buckets)
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
