from __future__ import annotations

import subprocess
import sys
from threading import Barrier, Thread
from typing import Any

import pytest
from prometheus_client import REGISTRY
from support.public_api import METRICS

from otp_service.observability.metrics import Metrics, WorkerGauges, provider_code

CALL: dict[str, Any] = {"endpoint": "verify", "status": 200, "code": "", "client": "shop", "duration_ms": 3.1}
SEND: dict[str, Any] = {
    "phone_hash": "hxxeMLMgGzH0-fls",
    "phone_masked": "+86 138****8000",
    "country": "CN",
    "client": "shop",
    "outcome": "accepted",
    "route": "main",
    "provider_code": "OK",
}

Series = dict[tuple[str, ...], float]


def counted(event: str, **facts: object) -> Metrics:
    metrics = Metrics()
    metrics.emit(event, **facts)
    return metrics


def of(metrics: Metrics, name: str) -> Series:
    """Return the series of *name* by the values of their labels, in the documented order."""
    return {
        tuple(sample.labels[label] for label in METRICS[name]): sample.value
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.name == name
    }


def risen(metrics: Metrics, name: str) -> Series:
    return {labels: value for labels, value in of(metrics, name).items() if value}


def value(metrics: Metrics, series: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(series, labels)


def test_success_is_counted_as_ok() -> None:
    assert risen(counted("http_request", **CALL), "otp_service_http_requests_total") == {("verify", "ok"): 1}


def test_rejected_request_is_counted_by_code_and_limit() -> None:
    metrics = counted("http_request", **{**CALL, "code": "limit_reached", "limit": "phone_sends_per_hour"})

    assert risen(metrics, "otp_service_http_requests_total") == {("verify", "limit_reached"): 1}
    assert risen(metrics, "otp_service_limits_hit_total") == {("phone_sends_per_hour",): 1}


@pytest.mark.parametrize(
    ("facts", "misses"),
    [
        ({"code": "verification_not_found"}, {("shop",): 1}),
        ({"code": "limit_reached", "limit": "address_misses_per_10_minutes"}, {("shop",): 1}),
        ({"code": "limit_reached", "limit": "phone_cooldown"}, {}),
        ({"code": ""}, {}),
    ],
    ids=["not found", "refused for misses", "refused otherwise", "found"],
)
def test_a36_misses_are_counted_by_client(facts: dict[str, Any], misses: Series) -> None:
    assert risen(counted("http_request", **{**CALL, **facts}), "otp_service_lookup_misses_total") == misses


def test_duration_is_counted_in_its_bucket() -> None:
    metrics, series = counted("http_request", **CALL), "otp_service_http_request_duration_seconds"

    assert value(metrics, f"{series}_bucket", endpoint="verify", le="0.002") == 0
    assert value(metrics, f"{series}_bucket", endpoint="verify", le="0.005") == 1
    assert value(metrics, f"{series}_bucket", endpoint="verify", le="+Inf") == 1
    assert value(metrics, f"{series}_sum", endpoint="verify") == pytest.approx(0.0031)


def test_approval_is_counted_by_route_and_country_with_its_time() -> None:
    metrics = counted("http_request", **CALL, route="main", country="CN", verified_after=12.0)

    assert risen(metrics, "otp_service_verifications_approved_total") == {("main", "CN"): 1}
    assert value(metrics, "otp_service_time_to_verify_seconds_sum", route="main") == 12


@pytest.mark.parametrize(
    ("outcome", "went_out"), [("accepted", 1), ("unknown", 1), ("withdrawn", 0), ("rejected", 0)]
)
def test_send_is_counted_as_sms_if_it_may_have_been_sent(outcome: str, went_out: int) -> None:
    metrics = counted("sms_send", **{**SEND, "outcome": outcome})

    assert risen(metrics, "otp_service_sms_sends_total") == {("main", outcome, "OK"): 1}
    assert risen(metrics, "otp_service_sms_billable_total") == ({("main", "CN"): 1} if went_out else {})


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
def test_unknown_provider_code_is_counted_as_other(code: str, label: str) -> None:
    assert provider_code(code) == label
    assert risen(counted("sms_send", **{**SEND, "provider_code": code}), "otp_service_sms_sends_total") == {
        ("main", "accepted", label): 1
    }


@pytest.mark.parametrize(
    ("event", "facts"),
    [
        ("delivery_report", {"route": "main", "delivery": "delivered"}),
        ("delivery_lookup", {"route": "main", "status": "delivered"}),
    ],
)
def test_deliveries_are_counted_from_reports_and_lookups(event: str, facts: dict[str, object]) -> None:
    assert risen(counted(event, **facts), "otp_service_sms_deliveries_total") == {("main", "delivered"): 1}


@pytest.mark.parametrize("status", ["silent", "absent", "unasked", "accepted"])
def test_lookup_without_a_final_status_is_not_counted_as_delivery(status: str) -> None:
    assert (
        of(counted("delivery_lookup", route="main", status=status), "otp_service_sms_deliveries_total") == {}
    )


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("challenge_required", "otp_service_risk_challenges_total"),
        ("pumping_guard_blocked", "otp_service_pumping_guard_blocks_total"),
    ],
)
def test_every_reason_is_counted(event: str, name: str) -> None:
    metrics = counted(event, phone_hash="a hash", reasons=["guard_country", "phone_slow_lane"])

    assert risen(metrics, name) == {("guard_country",): 1, ("phone_slow_lane",): 1}


def test_pumping_guard_scope_is_counted_by_kind_only() -> None:
    metrics = counted(
        "pumping_guard_state_changed",
        scope="address:AAAA-hash",
        action="block",
        mode="record_only",
        unverified=9.0,
    )

    assert risen(metrics, "otp_service_pumping_guard_transitions_total") == {
        ("address", "block", "record_only"): 1
    }


def test_report_items_are_counted_by_result() -> None:
    metrics = counted("delivery_report_batch", settled=2, repeated=0, malformed=1)

    assert risen(metrics, "otp_service_report_items_total") == {("settled",): 2, ("malformed",): 1}


def test_queue_reads_are_counted_by_result() -> None:
    metrics = counted("queue_read", queue="SmsReport", result="failed")

    assert risen(metrics, "otp_service_queue_reads_total") == {("SmsReport", "failed"): 1}


def test_redis_errors_and_losses_are_counted() -> None:
    for event in ("redis_error", "background_redis_error"):
        metrics = counted(event, kind="TimeoutError")
        assert risen(metrics, "otp_service_redis_errors_total") == {("TimeoutError",): 1}
    assert risen(counted("counter_flush_failed", entries=3), "otp_service_counter_updates_lost_total") == {
        (): 3
    }
    assert (
        value(counted("redis_roundtrip", duration_ms=250), "otp_service_redis_roundtrip_duration_seconds_sum")
        == 0.25
    )


def test_event_without_its_own_metric_is_counted_by_name() -> None:
    assert risen(counted("route_suspended", route="main"), "otp_service_events_total") == {
        ("route_suspended",): 1
    }


def test_events_start_at_0_unless_they_have_their_own_metric() -> None:
    metrics = Metrics()
    metrics.emit("reloaded")
    metrics.preinitialize_events(["redis_error", "send_result_not_recorded", "reloaded"])

    assert of(metrics, "otp_service_events_total") == {("send_result_not_recorded",): 0, ("reloaded",): 1}


@pytest.mark.parametrize(
    "name", ["otp_service_counter_updates_lost_total", "otp_service_log_lines_dropped_total"]
)
def test_counter_without_labels_starts_at_0(name: str) -> None:
    """Otherwise an alert on its increase would miss the first event."""
    assert of(Metrics(), name) == {(): 0}


def test_route_shows_every_state_and_is_in_one() -> None:
    metrics = Metrics()
    gauges = WorkerGauges(metrics.registry)
    gauges.set_routes({"main": "open"})
    gauges.set_routes({"main": "paused"})

    assert of(metrics, "otp_service_route_state") == {
        ("main", "ok"): 0,
        ("main", "paused"): 1,
        ("main", "open"): 0,
    }


def test_no_count_of_concurrent_threads_is_lost() -> None:
    metrics, barrier = Metrics(), Barrier(8)

    def count() -> None:
        barrier.wait()
        for _ in range(2_000):
            metrics.emit("http_request", **CALL)

    threads = [Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert value(metrics, "otp_service_http_requests_total", endpoint="verify", code="ok") == 16_000
    assert value(metrics, "otp_service_http_request_duration_seconds_count", endpoint="verify") == 16_000


def test_default_registry_of_the_process_is_not_used() -> None:
    """It belongs to the application that embeds the service."""
    WorkerGauges(Metrics().registry)

    assert [metric.name for metric in REGISTRY.collect() if metric.name.startswith("otp_")] == []


def test_embedding_application_does_not_import_prometheus_client() -> None:
    source = "import sys, otp_service.app; sys.exit('prometheus_client' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0
