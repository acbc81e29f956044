"""Findings: what one check has seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How bad a finding is; the worst of all is the exit code."""

    OK = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What *check* has *seen*, of one *route* or of the whole service, and how to *fix* what is not well."""

    check: str
    level: Level
    seen: str
    fix: str = ""
    route: str = ""


def well(check: str, seen: str, route: str = "") -> CheckResult:
    """Return a finding that needs nobody."""
    return CheckResult(check, Level.OK, seen, route=route)


def doubtful(check: str, seen: str, fix: str, route: str = "") -> CheckResult:
    """Return a finding that somebody should look at."""
    return CheckResult(check, Level.WARN, seen, fix, route)


def broken(check: str, seen: str, fix: str, route: str = "") -> CheckResult:
    """Return a finding that keeps codes from arriving."""
    return CheckResult(check, Level.FAIL, seen, fix, route)


def worst(findings: Iterable[CheckResult]) -> Level:
    """Return the worst level of all."""
    return max((finding.level for finding in findings), default=Level.OK)
