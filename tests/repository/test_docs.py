"""The docs are complete: they contain every setting, call, error code and domain term."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from simulation.test_lockout import FIGURES, TAKEOVER_BEFORE
from support.package_sources import ROOT, SOURCES
from support.public_api import COMMANDS, ERROR_CODES, ROUTES

from otp_service.settings import Settings

NAMED = {"purposes": "<name>", "clients": "<id>"}
"""Tables of tables, and what the docs call their names."""


def settings_of(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """Yield every setting as in the docs: `redis.url`, `clients.<id>.purposes`, `routes.templates.locale`."""
    for name, field in model.model_fields.items():
        inner, named = _model_in(field.annotation)
        if inner is None:
            yield before + name
        else:
            yield from settings_of(inner, f"{before}{name}." + (f"{NAMED[name]}." if named else ""))


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the model in *annotation*, and whether it is in a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for argument in get_args(annotation):
        if isinstance(argument, type) and issubclass(argument, BaseModel):
            return argument, get_origin(annotation) is Mapping
    return None, False


def doc(name: str) -> str:
    return (ROOT / name).read_text()


def headings(name: str) -> list[str]:
    return re.findall(r"^#+ `([^`]+)`$", doc(name), re.MULTILINE)


SETTINGS = sorted(settings_of(Settings))
DOCS = sorted(
    {"api", "settings", "architecture", "glossary"} | {path.stem for path in (ROOT / "docs").glob("*.md")}
)


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_has_its_heading(setting: str) -> None:
    assert headings("docs/settings.md").count(setting) == 1


def test_no_heading_is_of_a_removed_setting() -> None:
    assert [name for name in headings("docs/settings.md") if "." in name and name not in SETTINGS] == []


@pytest.mark.parametrize("code", ERROR_CODES)
def test_every_error_code_is_in_the_docs(code: str) -> None:
    assert f"`{code}`" in doc("docs/api.md")


@pytest.mark.parametrize("route", sorted(ROUTES))
def test_every_call_is_in_the_docs(route: str) -> None:
    assert route in doc("docs/api.md")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_docs(command: str) -> None:
    texts = [doc("README.md"), *(doc(f"docs/{name}.md") for name in DOCS)]

    assert any(f"otp-service {command}" in text for text in texts)


def test_every_path_in_the_architecture_exists() -> None:
    named = re.findall(r"`((?:[\w-]+/)+(?:[\w-]+\.\w+)?|[\w-]+\.py)`", doc("docs/architecture.md"))

    assert len(named) > 60
    assert [n for n in named if not (ROOT / n).exists() and not (ROOT / "otp_service" / n).exists()] == []


WORDS = [
    "verification",
    "code",
    "purpose",
    "phone",
    "client",
    "send",
    "resend",
    "attempt",
    "cooldown",
    "limit",
    "budget",
    "digest",
    "keyed hash",
    "proof",
    "redeem",
    "route",
    "delivery report",
    "sandbox",
]


@pytest.mark.parametrize("word", WORDS)
def test_every_domain_term_is_in_the_glossary(word: str) -> None:
    assert re.search(rf"\b{word}\b", doc("docs/glossary.md"), re.IGNORECASE)


# ── figures ──

UNITS = {"": 1, "s": 1, "min": 60, "yuan": 1}


def number_of(cell: str) -> float:
    """Return the number in a cell such as `51 min`, with times in seconds."""
    number, _, unit = cell.partition(" ")
    return float(number) * UNITS[unit]


def test_figures_of_attacked_phones_match_the_simulation() -> None:
    table = doc("docs/security.md").split("| the attacker |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| ([^|-]+) \| (.+) \|$", table, re.MULTILINE)

    found = {scenario: tuple(number_of(cell) for cell in cells.split(" | ")) for scenario, cells in rows}
    assert found == FIGURES


def test_takeovers_without_reserved_shares_match_the_simulation() -> None:
    (before,) = re.findall(r"the takeover chance would be (\S+) and (\S+) a year", doc("docs/security.md"))

    assert [float(chance) for chance in before] == [TAKEOVER_BEFORE[False], TAKEOVER_BEFORE[True]]


# ── events ──


def emitted_events() -> Iterator[tuple[str, str]]:
    """Yield every event that the source code emits, and the file."""
    for source in SOURCES:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                name = node.args[0]
                is_emitted = node.func.attr in {"emit", "_emit"}
                if is_emitted and isinstance(name, ast.Constant) and isinstance(name.value, str):
                    yield name.value, source.path


def documented_events() -> set[str]:
    table = doc("docs/events.md").split("## All events")[1]
    names = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    return {name for cell in names for name in re.findall(r"`(\w+)`", cell)}


def test_docs_have_exactly_the_emitted_events() -> None:
    emitted = {name for name, _ in emitted_events()}

    assert emitted - documented_events() == set()
    assert documented_events() - emitted == {"library_log"}  # from other libraries


# ── tests named in the docs ──

NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@pytest.mark.parametrize("name", DOCS)
def test_every_test_named_in_the_docs_exists(name: str) -> None:
    missing = [
        f"{path}::{test}"
        for path, test in NAMED_TEST.findall(doc(f"docs/{name}.md"))
        if not (ROOT / path).exists() or f"def {test}(" not in doc(path)
    ]

    assert missing == []


def rows(section: str) -> list[list[str]]:
    """Return the rows of the first table in a section of docs/security.md, without the header."""
    text = doc("docs/security.md").split(f"\n## {section}\n")[1].split("\n#")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@pytest.mark.parametrize("section", ["NIST SP 800-63B-4", "OWASP ASVS 5.0"])
def test_every_requirement_has_a_test_or_does_not_apply(section: str) -> None:
    found = rows(section)

    assert len(found) > 10
    for requirement, how, test in found:
        is_not_ours = any(said in how for said in ("documented", "not met", "the platform's"))
        assert NAMED_TEST.search(test) or (test == "–" and is_not_ours), requirement


@pytest.mark.parametrize(
    "section",
    [
        "Threat model",
        "What SMS cannot protect against",
        "What a determined attacker can still do",
        "Where personal data flows",
    ],
)
def test_docs_have_the_section(section: str) -> None:
    text = doc("docs/security.md").split(f"\n## {section}\n")[1].split("\n## ")[0]

    assert len(text.split()) > 200
