"""The result of one check, and how the results are printed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum


class CheckStatus(IntEnum):
    """The outcome of a check. The highest value of all checks is the exit code."""

    OK = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of *check*: a *message* about one *route* or the whole service, and how to *fix* it."""

    check: str
    status: CheckStatus
    message: str
    fix: str = ""
    route: str = ""


def ok(check: str, message: str, route: str = "") -> CheckResult:
    """Return a result that needs no action."""
    return CheckResult(check, CheckStatus.OK, message, route=route)


def warn(check: str, message: str, fix: str, route: str = "") -> CheckResult:
    """Return a result that an operator should look at."""
    return CheckResult(check, CheckStatus.WARN, message, fix, route)


def fail(check: str, message: str, fix: str, route: str = "") -> CheckResult:
    """Return a result that explains why codes do not arrive."""
    return CheckResult(check, CheckStatus.FAIL, message, fix, route)


def worst(results: Iterable[CheckResult]) -> CheckStatus:
    """Return the highest status of all results."""
    return max((result.status for result in results), default=CheckStatus.OK)


def as_text(results: Sequence[CheckResult]) -> str:
    """Return the results as a table with one line per result, each fix on a line below its result."""
    checks = max((len(result.check) for result in results), default=0)
    routes = max((len(result.route) for result in results), default=0)
    return "\n".join(line for result in results for line in _lines(result, checks, routes))


def as_json(results: Sequence[CheckResult]) -> str:
    """Return a JSON object with the highest status and all results."""
    checks = [
        {
            "check": result.check,
            "route": result.route,
            "status": result.status.name.lower(),
            "message": result.message,
            "fix": result.fix,
        }
        for result in results
    ]
    return json.dumps({"status": worst(results).name.lower(), "checks": checks}, ensure_ascii=False, indent=2)


def _lines(result: CheckResult, checks: int, routes: int) -> Iterator[str]:
    word = "FAIL" if result.status is CheckStatus.FAIL else result.status.name.lower()
    route = f"{result.route:{routes}}  " if routes else ""
    yield f"{word:4}  {result.check:{checks}}  {route}{result.message}"
    if result.fix:
        yield f"{'':6}fix: {result.fix}"
