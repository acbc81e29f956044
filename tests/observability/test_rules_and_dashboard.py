"""Alert rules and the dashboard use existing metrics and labels only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase
from support.package_sources import ROOT
from support.public_api import METRICS

from otp_service.cli.initial_series import READ_RESULTS, REPORT_RESULTS, SEND_OUTCOMES
from otp_service.domain.errors import OtpError
from otp_service.domain.policy import PumpingGuardMode
from otp_service.observability.logging import EVENTS
from otp_service.observability.metrics import ROUTE_STATES, BuildInfo, Metrics, ProcessMetrics, WorkerGauges

DEPLOY = Path(ROOT) / "deploy"
RULES = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((DEPLOY / "grafana" / "otp_service.json").read_text())
COUNTS = Metrics()
FAMILIES = [
    family
    for group in (COUNTS, WorkerGauges(COUNTS.registry))
    for family in vars(group).values()
    if isinstance(family, MetricWrapperBase)
]


def described(family: MetricWrapperBase) -> Metric:
    """Return the name, kind and help text of *family* as the page shows them."""
    (metric,) = family.describe()
    if metric.type == "counter":
        metric.name += "_total"
    return metric


def collected() -> Iterator[Metric]:
    """The metrics that are collected at each scrape, by the names that the page shows."""
    for metric in (*BuildInfo().collect(), *ProcessMetrics().collect()):
        metric.name += {"counter": "_total", "info": "_info"}.get(metric.type, "")
        metric.type = "gauge" if metric.type == "info" else metric.type
        yield metric


COLLECTED = list(collected())
KINDS = {metric.name: metric.type for metric in (*map(described, FAMILIES), *COLLECTED)}
STANDARD = "process_"
"""The prefix of metrics that every client library of Prometheus has. Other jobs have them too."""
WORDS = {
    *("sum", "max", "rate", "increase", "absent", "histogram_quantile", "by", "and", "or", "unless", "on"),
    *("up", "job", "instance", "queue"),
}


def expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} {target['refId']}", target["expr"]


EXPRESSIONS = list(expressions())
METRIC = re.compile(r"(?<!\")\b((?:otp_service|process)_\w+)(?:\{([^}]*)\})?")


def family_of(series: str) -> str:
    """Return the metric family of *series*; a histogram has the series bucket, sum and count."""
    base = re.sub(r"_(bucket|sum|count)$", "", series)
    return base if KINDS.get(base) == "histogram" and base != series else series


@pytest.mark.parametrize(("where", "text"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_every_metric_name_and_label_exists(where: str, text: str) -> None:
    used = METRIC.findall(text)
    labels = set()

    assert used or "up{" in text
    for series, selector in used:
        assert family_of(series) in METRICS
        assert (KINDS[family_of(series)] == "histogram") == (family_of(series) != series)
        chosen = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
        if series.startswith(STANDARD):
            assert selector == 'job=~"otp_service.*"'
            chosen.remove("job")
        assert chosen <= set(METRICS[family_of(series)])
        labels |= {*METRICS[family_of(series)], "le"} if family_of(series) != series else set(METRICS[series])
    for group in re.findall(r"by \(([^)]*)\)", text):
        assert set(re.split(r",\s*", group)) <= labels | {"job", "instance"}


@pytest.mark.parametrize(("where", "text"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_every_expression_is_balanced_and_uses_known_words(where: str, text: str) -> None:
    rest = re.sub(r"by \([^)]*\)", " ", re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", text))

    assert all(text.count(a) == text.count(b) for a, b in ("()", "[]", "{}"))
    assert {
        word
        for word in re.findall(r"[a-z]\w*", rest)
        if word not in KINDS and not word.startswith("otp_service_")
    } <= WORDS
    assert re.findall(r"\[(.*?)\]", text) == [
        span for span in re.findall(r"\[(.*?)\]", text) if re.fullmatch(r"\d+[mh]|\$__rate_interval", span)
    ]


@pytest.mark.parametrize(("where", "text"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_counters_are_read_by_increase_and_gauges_directly(where: str, text: str) -> None:
    for series, _ in METRIC.findall(text):
        is_increase = re.search(rf"(?:rate|increase)\({series}\b", text) is not None

        assert is_increase == (KINDS[family_of(series)] != "gauge")


def codes(kind: type[OtpError]) -> set[str]:
    return {kind.code}.union(*map(codes, kind.__subclasses__())) if hasattr(kind, "code") else set()


def test_every_label_value_in_an_expression_exists() -> None:
    text = " ".join(expr for _, expr in EXPRESSIONS)
    named = {
        label: {v for found in re.findall(rf'\b{label}=~?"([^"]*)"', text) for v in found.split("|")}
        for label in ("code", "event", "state", "outcome", "delivery", "result", "mode")
    }

    assert named["code"] <= set.union(*map(codes, OtpError.__subclasses__()))
    assert named["event"] <= EVENTS
    assert named["state"] <= set(ROUTE_STATES)
    assert named["outcome"] <= set(SEND_OUTCOMES)
    assert named["delivery"] <= {"delivered", "undelivered"}
    assert named["result"] <= {*REPORT_RESULTS, *READ_RESULTS}
    assert named["mode"] <= {mode.value for mode in PumpingGuardMode}


def test_every_alert_has_a_severity_summary_action_and_runbook() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert set(rule["annotations"]) == {"summary", "action", "runbook_url"}
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_every_metric_is_used_in_an_alert_or_panel() -> None:
    shown = {family_of(series) for _, text in EXPRESSIONS for series, _ in METRIC.findall(text)}

    assert {name for name in set(METRICS) - shown if not name.startswith(STANDARD)} == set()


def test_panels_do_not_overlap() -> None:
    taken = set[tuple[int, int]]()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not taken & cells
        taken |= cells


def test_metrics_match_the_public_list() -> None:
    assert KINDS.keys() == METRICS.keys()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: described(family).name)
def test_labels_match_the_public_list(family: MetricWrapperBase) -> None:
    """prometheus-client rejects all others."""
    if labels := METRICS[described(family).name]:
        family.labels(**dict.fromkeys(labels, "x"))
    else:
        with pytest.raises(ValueError, match="No label names"):
            family.labels(x="x")


@pytest.mark.parametrize("metric", COLLECTED, ids=lambda metric: metric.name)
def test_collected_metrics_have_the_pinned_labels(metric: Metric) -> None:
    assert metric.samples
    for sample in metric.samples:
        assert sorted(sample.labels) == sorted(METRICS[metric.name])


def test_names_follow_the_conventions_of_prometheus() -> None:
    for name, kind in KINDS.items():
        assert name.startswith(("otp_service_", STANDARD))
        assert name.endswith("_total") == (kind == "counter")
        assert name.endswith("_seconds") == (kind == "histogram") or name.startswith(STANDARD)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_documented_with_its_labels(name: str) -> None:
    rows = re.findall(
        rf"^\| `{name}` \| (\w+) \| ([^|]+) \|", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE
    )

    assert [(kind, re.findall(r"`(\w+)`", labels)) for kind, labels in rows] == [(KINDS[name], METRICS[name])]
