"""Every file of deploy/ is named by a test that reads it."""

from __future__ import annotations

import pytest
from support.doc_blocks import ROOT

TESTED_BY = {
    "Dockerfile": "tests/deploy/test_image.py",
    "caddy/Caddyfile": "tests/deploy/test_proxies.py",
    "compose.yaml": "tests/deploy/test_compose.py",
    "compose/config.toml": "tests/deploy/test_compose.py",
    "compose/grafana/dashboards.yml": "tests/deploy/test_compose.py",
    "compose/grafana/datasource.yml": "tests/deploy/test_compose.py",
    "compose/nginx.conf": "tests/deploy/test_compose.py",
    "compose/prometheus.yml": "tests/deploy/test_compose.py",
    "compose/valkey.conf": "tests/deploy/test_compose.py",
    "grafana/otp_service.json": "tests/observability/test_rules_and_dashboard.py",
    "haproxy/haproxy.cfg": "tests/deploy/test_proxies.py",
    "logrotate/otp-service": "tests/docs/test_production.py",
    "nginx/otp-service.conf": "tests/deploy/test_proxies.py",
    "prometheus/alerts.yml": "tests/observability/test_rules_and_dashboard.py",
    "prometheus/prometheus.yml": "tests/observability/test_alerts.py",
    "systemd/otp-service-reports.service": "tests/deploy/test_systemd.py",
    "systemd/otp-service.service": "tests/deploy/test_systemd.py",
    "traefik/traefik.yml": "tests/deploy/test_proxies.py",
}
"""File of deploy/ → the test that reads it. test_helm.py reads all files of the chart."""


def files() -> set[str]:
    """Return the files of deploy/ except those that an operator creates."""
    folder = ROOT / "deploy"
    made = {folder / "compose" / name for name in ("secrets", "certificates")}
    found = {path for path in folder.rglob("*") if path.is_file() and not made & {*path.parents}}
    return {str(path.relative_to(folder)) for path in found}


def test_every_file_has_its_test() -> None:
    assert {name for name in files() if not name.startswith("helm/")} == set(TESTED_BY)


@pytest.mark.parametrize(("name", "test"), TESTED_BY.items())
def test_test_names_the_file(name: str, test: str) -> None:
    text = (ROOT / test).read_text("utf-8")
    proxies = (ROOT / "tests" / "support" / "proxies.py").read_text("utf-8")

    assert name.rpartition("/")[2] in text + (proxies if "proxies" in test else "")


def test_chart_is_tested() -> None:
    assert {name.split("/")[1] for name in files() if name.startswith("helm/")} == {"otp-service"}
    assert '"helm" / "otp-service"' in (ROOT / "tests" / "deploy" / "test_helm.py").read_text("utf-8")
