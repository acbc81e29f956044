"""Alert rules, run by Prometheus' own promtool: each fires when it should and stays quiet when it should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import redis_servers
from support.package_sources import ROOT

PROMETHEUS = Path(ROOT) / "deploy" / "prometheus"
RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
METRIC = re.compile(r"\b(otp_service_\w+|up)\b(?=[{\[) ]|$)")

Series = dict[str, str]
"""Series and their values in promtool's notation: first value, step and number of steps (minutes)."""

A, B = 'job="otp_service",instance="a:9464"', 'job="otp_service",instance="b:9464"'
COLLECTOR = 'job="otp_service_reports",instance="a:9465"'


@dataclass(frozen=True)
class Case:
    """The *series* that *alert* sees, and the labels with which it *fires*; empty if it must stay quiet."""

    alert: str
    what: str
    series: Series
    fires: tuple[dict[str, str], ...] = ()
    minutes: int = 60


def fires(alert: str, what: str, series: Series, *labels: dict[str, str], minutes: int = 60) -> Case:
    return Case(alert, what, series, labels or ({},), minutes)


def quiet(alert: str, what: str, series: Series, *, minutes: int = 60) -> Case:
    return Case(alert, what, series, (), minutes)


def counter(name: str, labels: str, *parts: str) -> Series:
    return {f"otp_service_{name}_total{{{labels}}}": " ".join(parts)}


IDLE, BUSY = "0+0x120", "0+10x120"
ONCE = "0+0x55 1+0x65"
"""A counter that starts at 0 and rises once, five minutes before the end."""


def histogram(name: str, labels: str, fast: str, slow: str, le: str) -> Series:
    """Return a histogram with two buckets: *fast* has the values up to *le*, *slow* has all."""
    series = f"otp_service_{name}_seconds_bucket"
    return {
        f'{series}{{{labels}le="{le}"}}': fast,
        f'{series}{{{labels}le="+Inf"}}': slow,
    }


def sends(**outcomes: str) -> Series:
    return {
        f'otp_service_sms_sends_total{{route="main",outcome="{outcome}",provider_code=""}}': values
        for outcome, values in outcomes.items()
    }


def conversion(approvals: str, sms: str) -> Series:
    labels = 'route="main",country="CN"'
    return counter("verifications_approved", labels, approvals) | counter("sms_billable", labels, sms)


def event(name: str, values: str) -> Series:
    return counter("events", f'event="{name}"', values)


def reads(succeeded: str, failed: str) -> Series:
    labels = f'{COLLECTOR},queue="SmsReport"'
    return counter("queue_reads", f'{labels},result="ok"', succeeded) | counter(
        "queue_reads", f'{labels},result="failed"', failed
    )


QUEUE = {"instance": "a:9465", "queue": "SmsReport"}
MAIN = {"route": "main"}
CASES = (
    fires("OtpServiceDown", "nothing is scraped", {}),
    fires(
        "OtpServiceDown",
        "every instance is dead",
        {f"up{{{A}}}": "1+0x50 0+0x70", f"up{{{B}}}": "1+0x50 0+0x70"},
    ),
    quiet("OtpServiceDown", "one of two lives", {f"up{{{A}}}": "1+0x120", f"up{{{B}}}": "0+0x120"}),
    fires(
        "OtpServiceInstanceDown",
        "one of two is dead",
        {f"up{{{A}}}": "1+0x120", f"up{{{B}}}": "1+0x50 0+0x70"},
        {"job": "otp_service", "instance": "b:9464"},
    ),
    quiet(
        "OtpServiceInstanceDown",
        "both live, another job does not",
        {f"up{{{A}}}": "1+0x120", f"up{{{B}}}": "1+0x120", 'up{job="other",instance="c:1"}': "0+0x120"},
    ),
    fires(
        "OtpServiceNoWorkers",
        "the last worker of one died",
        {
            f"up{{{A}}}": "1+0x120",
            f"up{{{B}}}": "1+0x120",
            f"otp_service_workers{{{A}}}": "4+0x120",
            f"otp_service_workers{{{B}}}": "4+0x50 stale",
        },
        {"job": "otp_service", "instance": "b:9464"},
    ),
    quiet(
        "OtpServiceNoWorkers",
        "one of its workers lives",
        {f"up{{{A}}}": "1+0x120", f"otp_service_workers{{{A}}}": "4+0x50 1+0x70"},
    ),
    fires(
        "OtpServiceReportWorkerDown",
        "a report worker is dead",
        {
            f"up{{{COLLECTOR}}}": "1+0x50 0+0x70",
            f"otp_service_report_queues{{{A}}}": "0+0x120",
        },
        {"job": "otp_service_reports", "instance": "a:9465"},
    ),
    fires(
        "OtpServiceReportWorkerDown",
        "queues are configured but not read",
        {f"otp_service_report_queues{{{A}}}": "2+0x120"},
        {},
    ),
    quiet(
        "OtpServiceReportWorkerDown",
        "it lives",
        {f"up{{{COLLECTOR}}}": "1+0x120", f"otp_service_report_queues{{{A}}}": "2+0x120"},
    ),
    quiet(
        "OtpServiceReportWorkerDown",
        "no queue is named",
        {f"otp_service_report_queues{{{A}}}": "0+0x120", f"up{{{A}}}": "1+0x120"},
    ),
    *(
        fires("OtpServiceReportsNotRead", what, reads("0+3x30 90+0x90", failed), QUEUE)
        for what, failed in (("every read fails", BUSY), ("the worker hangs", IDLE))
    ),
    quiet("OtpServiceReportsNotRead", "reads fail now and then", reads("0+3x120", BUSY)),
    quiet(
        "OtpServiceReportsNotRead", "every read failed for a while", reads("0+3x40 120+0x12 120+3x68", BUSY)
    ),
    fires(
        "OtpServiceReportsUnreadable",
        "one item could not be read",
        counter("report_items", 'result="malformed"', ONCE),
    ),
    quiet(
        "OtpServiceReportsUnreadable",
        "reports of others and old ones",
        counter("report_items", 'result="malformed"', IDLE)
        | counter("report_items", 'result="unrecognized"', BUSY)
        | counter("report_items", 'result="expired"', BUSY),
    ),
    fires(
        "OtpServiceRedisUnavailable",
        "calls fail",
        counter("http_requests", 'endpoint="verify",code="store_unavailable"', BUSY),
    ),
    quiet(
        "OtpServiceRedisUnavailable",
        "calls fail for other reasons",
        counter("http_requests", 'endpoint="verify",code="store_unavailable"', IDLE)
        | counter("http_requests", 'endpoint="verify",code="wrong_code"', BUSY),
    ),
    fires(
        "OtpServiceSchemaNewer",
        "a worker of one instance has stopped",
        counter("events", f'event="store_schema_newer",{A}', ONCE)
        | counter("events", f'event="store_schema_newer",{B}', IDLE),
        {"instance": "a:9464"},
    ),
    quiet(
        "OtpServiceSchemaNewer",
        "other errors",
        counter("events", f'event="store_schema_newer",{A}', IDLE)
        | counter("events", f'event="route_suspended",{A}', BUSY),
    ),
    fires(
        "OtpServiceRedisSlow",
        "each takes longer",
        histogram("redis_roundtrip_duration", "", IDLE, BUSY, "0.1")
        | {'otp_service_redis_roundtrip_duration_seconds_bucket{le="0.25"}': BUSY},
    ),
    quiet(
        "OtpServiceRedisSlow",
        "none takes longer",
        histogram("redis_roundtrip_duration", "", BUSY, BUSY, "0.1"),
    ),
    quiet(
        "OtpServiceRedisSlow",
        "nothing was asked",
        histogram("redis_roundtrip_duration", "", IDLE, IDLE, "0.1"),
    ),
    fires(
        "OtpServiceRedisPoolFull",
        "all are busy",
        {
            "otp_service_redis_connections_in_use": "120+0x120",
            "otp_service_redis_connections_max": "120+0x120",
        },
    ),
    quiet(
        "OtpServiceRedisPoolFull",
        "half are busy",
        {
            "otp_service_redis_connections_in_use": "60+0x120",
            "otp_service_redis_connections_max": "120+0x120",
        },
    ),
    fires(
        "OtpServiceRoutePaused",
        "paused in one worker",
        {'otp_service_route_state{route="main",state="paused"}': "1+0x120"},
        MAIN,
    ),
    quiet(
        "OtpServiceRoutePaused",
        "paused for a minute, long ago",
        {
            'otp_service_route_state{route="main",state="paused"}': "_x10 1 stale",
            'otp_service_route_state{route="main",state="ok"}': "1+0x120",
        },
    ),
    fires(
        "OtpServiceRouteOpen",
        "open in one worker",
        {'otp_service_route_state{route="main",state="open"}': "1+0x120"},
        MAIN,
    ),
    quiet(
        "OtpServiceRouteOpen",
        "closed again within five minutes",
        {'otp_service_route_state{route="main",state="open"}': "_x55 1 1 1 stale"},
    ),
    fires("OtpServiceSendsFail", "a third is refused", sends(accepted="0+20x120", withdrawn=BUSY), MAIN),
    quiet("OtpServiceSendsFail", "a tenth is refused", sends(accepted="0+90x120", withdrawn=BUSY)),
    quiet("OtpServiceSendsFail", "nothing is sent", sends(accepted=IDLE, withdrawn=IDLE)),
    fires("OtpServiceSendsUnknown", "a tenth is unknown", sends(accepted="0+90x120", unknown=BUSY), MAIN),
    quiet("OtpServiceSendsUnknown", "one in a hundred", sends(accepted="0+990x120", unknown=BUSY)),
    fires(
        "OtpServiceBulkheadFull",
        "all permits are taken",
        {"otp_service_sends_in_flight": "56+0x120", "otp_service_sends_in_flight_max": "56+0x120"},
    ),
    quiet(
        "OtpServiceBulkheadFull",
        "half of them are",
        {"otp_service_sends_in_flight": "28+0x120", "otp_service_sends_in_flight_max": "56+0x120"},
    ),
    fires(
        "OtpServiceConversionFell",
        "no verification was approved",
        conversion(IDLE, BUSY),
        {"route": "main", "country": "CN"},
        minutes=90,
    ),
    quiet("OtpServiceConversionFell", "half are verified", conversion("0+5x120", BUSY), minutes=90),
    quiet("OtpServiceConversionFell", "few SMS", conversion(IDLE, "0+0x30 0+1x30 30+0x60"), minutes=90),
    fires(
        "OtpServiceUndelivered",
        "half did not arrive",
        counter("sms_deliveries", 'route="main",delivery="delivered"', BUSY)
        | counter("sms_deliveries", 'route="main",delivery="undelivered"', BUSY),
        MAIN,
    ),
    quiet(
        "OtpServiceUndelivered",
        "all but one in a hundred arrived",
        counter("sms_deliveries", 'route="main",delivery="delivered"', "0+990x120")
        | counter("sms_deliveries", 'route="main",delivery="undelivered"', BUSY),
    ),
    fires(
        "OtpServiceSlowToVerify",
        "most take longer",
        histogram("time_to_verify", 'route="main",', "0+1x120", BUSY, "60")
        | {'otp_service_time_to_verify_seconds_bucket{route="main",le="120"}': BUSY},
        MAIN,
    ),
    quiet(
        "OtpServiceSlowToVerify",
        "most are faster",
        histogram("time_to_verify", 'route="main",', "0+9x120", BUSY, "60"),
    ),
    fires("OtpServiceGuessing", "the alarm is raised", {"otp_service_global_failure_level": "0+0x50 1+0x70"}),
    quiet("OtpServiceGuessing", "no alarm", {"otp_service_global_failure_level": "0+0x120"}),
    fires(
        "OtpServicePumping",
        "a prefix is blocked",
        counter("pumping_guard_transitions", 'kind="prefix",action="block",mode="enforce"', ONCE),
        {"kind": "prefix"},
    ),
    quiet(
        "OtpServicePumping",
        "a prefix would be blocked, and another is free again",
        counter("pumping_guard_transitions", 'kind="prefix",action="block",mode="record_only"', ONCE)
        | counter("pumping_guard_transitions", 'kind="prefix",action="none",mode="enforce"', ONCE),
    ),
    fires(
        "OtpServicePumpingRecorded",
        "a prefix would be blocked",
        counter("pumping_guard_transitions", 'kind="prefix",action="block",mode="record_only"', ONCE),
        {"kind": "prefix"},
    ),
    quiet(
        "OtpServicePumpingRecorded",
        "a prefix is blocked",
        counter("pumping_guard_transitions", 'kind="prefix",action="block",mode="enforce"', ONCE),
    ),
    fires(
        "OtpServiceBudgetSpent",
        "the first refusal of the day",
        counter("limits_hit", 'limit="client_sms_per_day"', ONCE),
        {"limit": "client_sms_per_day"},
    ),
    quiet(
        "OtpServiceBudgetSpent",
        "a phone has its day's SMS",
        counter("limits_hit", 'limit="client_sms_per_day"', IDLE)
        | counter("limits_hit", 'limit="phone_sends_per_day"', BUSY),
    ),
    fires(
        "OtpServiceDefect",
        "a defect of ours",
        event("unhandled_exception", ONCE),
        {"event": "unhandled_exception"},
    ),
    quiet(
        "OtpServiceDefect",
        "a refused reload",
        event("unhandled_exception", IDLE) | event("reload_failed", ONCE),
    ),
    *(
        fires("OtpServiceCountsLost", f"{name} is counted", series, labels)
        for name, series, labels in (
            ("a lost entry", {"otp_service_counter_updates_lost_total": ONCE}, {}),
            ("a dropped line", {"otp_service_log_lines_dropped_total": ONCE}, {}),
            ("a send result that was not recorded", event("send_result_not_recorded", ONCE), {}),
        )
    ),
    quiet(
        "OtpServiceCountsLost",
        "nothing was lost",
        {"otp_service_counter_updates_lost_total": "3+0x120", "otp_service_log_lines_dropped_total": IDLE}
        | event("send_result_not_recorded", IDLE),
    ),
    fires("OtpServiceReloadRefused", "a refused reload", event("reload_failed", ONCE)),
    quiet("OtpServiceReloadRefused", "a reload", event("reload_failed", IDLE) | event("reloaded", ONCE)),
)


def promtool(*arguments: str | Path, cwd: Path | None = None) -> str:
    """Return the problems that promtool found, as text."""
    program = shutil.which("promtool")
    if program is None:
        redis_servers.skip_or_fail("promtool is not installed; it comes with Prometheus")
    result = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False, cwd=cwd)
    return "" if result.returncode == 0 else result.stdout + result.stderr


def rendered(text: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{ \$labels\.(\w+) }}", lambda found: labels.get(found[1], ""), text)


def expected(case: Case) -> list[dict[str, Any]]:
    rule = RULES[case.alert]
    return [
        {
            "exp_labels": rule["labels"] | labels,
            "exp_annotations": {name: rendered(text, labels) for name, text in rule["annotations"].items()},
        }
        for labels in case.fires
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}: {case.what}")
def test_alert_fires_or_stays_quiet(case: Case, tmp_path: Path) -> None:
    shown = {
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
        "alert_rule_test": [
            {"eval_time": f"{case.minutes}m", "alertname": case.alert, "exp_alerts": expected(case)}
        ],
    }
    whole = {"rule_files": [str(PROMETHEUS / "alerts.yml")], "tests": [shown]}
    (tmp_path / "case.json").write_text(json.dumps(whole))  # JSON is YAML

    assert promtool("test", "rules", tmp_path / "case.json") == ""


@pytest.mark.parametrize("alert", RULES)
def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(alert: str) -> None:
    cases = [case for case in CASES if case.alert == alert]

    assert {bool(case.fires) for case in cases} == {True, False}


@pytest.mark.parametrize("alert", RULES)
def test_quiet_case_of_an_alert_has_all_its_series(alert: str) -> None:
    """A case without these series would pass for the wrong reason."""
    looked_at = set(METRIC.findall(RULES[alert]["expr"]))
    seen = [
        {series.partition("{")[0] for series in case.series}
        for case in CASES
        if case.alert == alert and not case.fires
    ]

    assert looked_at
    assert any(looked_at <= names for names in seen)


def test_promtool_accepts_the_rules_and_the_example_configuration() -> None:
    assert promtool("check", "config", "prometheus.yml", cwd=PROMETHEUS) == ""
    assert promtool("check", "rules", "alerts.yml", cwd=PROMETHEUS) == ""
