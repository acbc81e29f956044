"""Every alert has a runbook that names only what exists, and every runbook belongs to an alert."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import click
import pytest
import yaml
from support.doc_blocks import ROOT
from support.public_api import ERROR_CODES, METRICS

from otp_service.cli.main import main
from otp_service.observability.logging import EVENTS

from .test_docs import SETTINGS

FOLDER = ROOT / "docs" / "runbooks"
BASE = "https://otp-docs.example.com/"
RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
}
SECTIONS = ["What it means", "What users notice", "What to check first", "How to fix it", "When it clears"]
OF_OTHERS = {
    # Prometheus: a label, and the job of the report worker
    *("instance", "otp_service_reports"),
    # Redis
    *("appendonly yes", "INFO", "INFO commandstats", "KEYS", "LATENCY DOCTOR", "SLOWLOG GET", "maxclients"),
    *("maxmemory", "redis-cli --latency"),
    # pip
    "/opt/otp-service/bin/pip show otp-service",
    # systemd
    *("systemctl status otp-service", "systemctl restart otp-service", "systemctl reload otp-service"),
    *("systemctl status otp-service-reports", "systemctl start otp-service-reports"),
    # Aliyun
    *("AccessDenied", "QueueNotExist", "TimeExpired", "QueryTokenForMnsQueue", "dybaseapi.aliyuncs.com"),
}
"""Names that are not this project's."""


def text_of(alert: str) -> str:
    return (FOLDER / f"{alert}.md").read_text("utf-8")


def names_in(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def words_of(document: str) -> set[str]:
    """Every word that *document* shows as code: facts of events and their values, endpoints, labels."""
    text = (ROOT / "docs" / document).read_text("utf-8")
    text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return {word for name in names_in(text) for word in re.findall(r"[\w./-]+", name)}


WORDS = {
    *EVENTS,
    *ERROR_CODES,
    *METRICS,
    *SETTINGS,
    *(setting.rpartition(".")[0] for setting in SETTINGS),
    *(setting.rpartition(".")[2] for setting in SETTINGS),
    *(label for labels in METRICS.values() for label in labels),
    *(word for name in ("api", "doctor", "events", "metrics", "reports") for word in words_of(f"{name}.md")),
}


def commands(text: str) -> Iterator[list[str]]:
    yield from (name.split()[1:] for name in names_in(text) if name.startswith("otp-service "))


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} - {"README"} == RULES.keys()


@pytest.mark.parametrize("alert", RULES)
def test_alert_links_to_its_page(alert: str) -> None:
    assert RULES[alert]["annotations"]["runbook_url"] == f"{BASE}docs/runbooks/{alert}.html"


@pytest.mark.parametrize("alert", RULES)
def test_page_has_the_severity_and_the_five_sections(alert: str) -> None:
    text = text_of(alert)

    assert text.startswith(f"# {alert}\n\n**Severity:** {RULES[alert]['labels']['severity']}.")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert all(len(section.split()) > 5 for section in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:])


@pytest.mark.parametrize("alert", RULES)
def test_page_names_only_what_exists(alert: str) -> None:
    named = {name for name in names_in(text_of(alert)) if not name.startswith(("otp-service ", "local."))}
    mine = {name for name in named - OF_OTHERS if re.fullmatch(r"[\w./\[\] =\"-]+", name)}
    unknown = {
        name
        for name in mine
        if name.strip('[]"').split(" = ")[0] not in WORDS
        and name not in {"*", "consume-reports", "check-config"}
    }

    assert unknown == set()
    assert {name for name in named - OF_OTHERS if name.startswith("otp_service_")} <= METRICS.keys()


@pytest.mark.parametrize("alert", RULES)
def test_commands_of_the_page_exist_with_their_options(alert: str) -> None:
    for first, *rest in commands(text_of(alert)):
        command: Any = main.get_command(click.Context(main), first)
        assert command, first
        options = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in rest if word.startswith("-")} <= options


def test_index_lists_every_alert_with_its_severity() -> None:
    rows = re.findall(
        r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \|", (FOLDER / "README.md").read_text("utf-8"), re.MULTILINE
    )

    assert rows == [(name, name, rule["labels"]["severity"]) for name, rule in RULES.items()]
