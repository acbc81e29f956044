"""The memory that the docs plan for Redis is computed from the measured sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from support.doc_blocks import ROOT

PERFORMANCE = (ROOT / "docs" / "performance.md").read_text("utf-8")
PRODUCTION = (ROOT / "docs" / "production.md").read_text("utf-8")
UPGRADING = (ROOT / "docs" / "upgrading.md").read_text("utf-8")

SERVER = 20_000_000
DAYS = 90
ABANDONED = 0.2
"""For each verified phone, so many others get an SMS and are not verified."""

BUSIEST_HOUR = 0.1
LIFETIME_MINUTES = 25
UNITS = {"MB": 1e6, "GB": 1e9, "mb": 2**20, "gb": 2**30}

SIZES = ("one live", "one additional IP address", "after an approval", "after an abandoned verification")
MEASURED = dict(re.findall(rf"^\| ({'|'.join(SIZES)}).*? \| (.+) \|$", PERFORMANCE, re.MULTILINE))


def measured(row: str, server: int) -> int:
    """Return a measured size in bytes; *server* is 0 for Redis and 1 for Valkey."""
    return int(MEASURED[row].split(" | ")[server])


def planned(users: int, server: int, days: int = DAYS) -> float:
    """Return the bytes for *users* new users on each of *days* days."""
    sent = 1 + ABANDONED
    each = (
        measured("after an approval", server) * days
        + measured("after an abandoned verification", server) * ABANDONED
        + measured("one additional IP address", server) * sent
        + measured("one live", server) * sent * BUSIEST_HOUR * LIFETIME_MINUTES / 60
    )
    return each * users + SERVER


def size(cell: str) -> float:
    number, unit = re.findall(r"([\d.]+) ?(\w+)", cell)[0]
    return float(number) * UNITS[unit]


def rows(text: str, header: str) -> list[list[str]]:
    table = text.split(header)[1].split("\n\n", maxsplit=1)[0]
    return [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]


@dataclass(frozen=True)
class Plan:
    """A row of a table: the memory for *users* users a day on a *server*."""

    users: int
    server: int
    days: int
    bytes_: str
    limit: str


def plans_of_production() -> Iterator[Plan]:
    for users, bytes_, limit in rows(PRODUCTION, "| verifications a day |"):
        yield Plan(int(users.replace(",", "")), 0, DAYS, bytes_, limit)


def plans_of_upgrading() -> Iterator[Plan]:
    for users, new, limit, same, valkey, valkey_limit in rows(UPGRADING, "| users a day |"):
        number = int(users.replace(",", ""))
        yield Plan(number, 0, DAYS, new, limit)
        yield Plan(number, 0, 1, same, limit)
        yield Plan(number, 1, DAYS, valkey, valkey_limit)


@pytest.mark.parametrize("plans", [plans_of_production, plans_of_upgrading])
def test_tables_match_the_measured_sizes(plans: Callable[[], Iterator[Plan]]) -> None:
    found = list(plans())

    assert len(found) >= 4
    for plan in found:
        expected = planned(plan.users, plan.server, plan.days)
        assert size(plan.bytes_) == pytest.approx(expected, rel=0.02), plan
        assert size(plan.limit) >= 1.45 * expected, plan


def test_formula_has_the_measured_sizes() -> None:
    assert f"bytes = {measured('after an approval', 0)} x phones" in PRODUCTION
    assert f"+ {measured('one additional IP address', 0)} x different addresses" in PRODUCTION
    assert f"+ {measured('one live', 0)} x verifications" in PRODUCTION
    assert f"+ {SERVER:,} for the server" in PRODUCTION
