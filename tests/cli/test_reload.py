from __future__ import annotations

import pytest
from test_app import settings

from otp_service.settings import Settings, renewed, waiting
from otp_service.settings.settings import MetricsConfig, ServerConfig, ServiceConfig
from otp_service.settings.validation import validate


def where(running: Settings, fresh: Settings) -> list[str]:
    return [mistake.where for mistake in renewed(running, fresh)[1]]


def test_fresh_settings_hold_but_for_what_needs_a_restart() -> None:
    running = settings(server={"worker_connections": 64})
    fresh = settings(server={"worker_connections": 32}, metrics={"port": 9464}, codes={"ttl": 120})

    renewal, mistakes = renewed(running, fresh)

    assert renewal.codes.ttl == 120
    assert (renewal.server, renewal.metrics) == (running.server, running.metrics)
    assert mistakes == []
    assert waiting(renewal, fresh) == ["server.worker_connections", "metrics.port"]
    assert waiting(fresh, fresh) == []


def test_what_is_sound_only_after_a_restart_is_a_mistake_now() -> None:
    """The permits of 128 threads would be all of 64, and codes could not be verified beside sends."""
    fresh = settings(server={"worker_connections": 128}, sms={"max_in_flight": 100})

    assert where(settings(), fresh) == ["sms.max_in_flight"]
    assert where(fresh, fresh) == []


@pytest.mark.parametrize(
    ("ports", "mistaken"),
    [
        ({"port": 8080}, ["metrics.port"]),
        ({"reports_port": 8080}, ["metrics.reports_port"]),
        ({"port": 9464, "reports_port": 9464}, ["metrics.reports_port"]),
        ({"port": 9464, "reports_port": 9465}, []),
    ],
    ids=["of-the-api", "reports-of-the-api", "twice", "sound"],
)
def test_a_page_has_a_port_of_its_own(ports: dict[str, int], mistaken: list[str]) -> None:
    found = [m.where for m in validate(Settings(metrics=MetricsConfig(**ports)))]

    assert [where for where in found if where.startswith("metrics")] == mistaken


def test_a_stop_gives_sends_their_time() -> None:
    short = Settings(server=ServerConfig(stop_timeout=6), service=ServiceConfig(request_deadline=6))

    assert "server.stop_timeout" in [m.where for m in validate(short)]
