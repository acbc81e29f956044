from __future__ import annotations

import pytest
from test_app import settings

from otp_service.settings import Settings, renewed, waiting
from otp_service.settings.settings import MetricsConfig, ServerConfig, ServiceConfig
from otp_service.settings.validation import validate


def where(running: Settings, new: Settings) -> list[str]:
    return [issue.where for issue in renewed(running, new)[1]]


def test_new_settings_are_used_except_those_that_need_a_restart() -> None:
    running = settings(server={"worker_connections": 64})
    new = settings(server={"worker_connections": 32}, metrics={"port": 9464}, codes={"ttl": 120})

    renewal, issues = renewed(running, new)

    assert renewal.codes.ttl == 120
    assert (renewal.server, renewal.metrics) == (running.server, running.metrics)
    assert issues == []
    assert waiting(renewal, new) == ["server.worker_connections", "metrics.port"]
    assert waiting(new, new) == []


def test_settings_that_are_valid_only_after_a_restart_are_an_issue() -> None:
    """The sends of 128 threads would occupy all 64, and no code could be verified meanwhile."""
    new = settings(server={"worker_connections": 128}, sms={"max_in_flight": 100})

    assert where(settings(), new) == ["sms.max_in_flight"]
    assert where(new, new) == []


@pytest.mark.parametrize(
    ("ports", "fields_with_issues"),
    [
        ({"port": 8080}, ["metrics.port"]),
        ({"reports_port": 8080}, ["metrics.reports_port"]),
        ({"port": 9464, "reports_port": 9464}, ["metrics.reports_port"]),
        ({"port": 9464, "reports_port": 9465}, []),
    ],
    ids=["of-the-api", "reports-of-the-api", "twice", "valid"],
)
def test_metrics_page_needs_its_own_port(ports: dict[str, int], fields_with_issues: list[str]) -> None:
    found = [m.where for m in validate(Settings(metrics=MetricsConfig(**ports)))]

    assert [where for where in found if where.startswith("metrics")] == fields_with_issues


def test_stop_timeout_covers_the_deadline_of_sends() -> None:
    short = Settings(server=ServerConfig(stop_timeout=6), service=ServiceConfig(request_deadline=6))

    assert "server.stop_timeout" in [m.where for m in validate(short)]
