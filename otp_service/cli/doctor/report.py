"""The doctor's report, for a terminal and for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from otp_service.cli.doctor.finding import CheckResult, Level, worst

_WORDS = {Level.OK: "ok", Level.WARN: "warn", Level.FAIL: "FAIL"}


def as_text(findings: Sequence[CheckResult]) -> str:
    """Return one line for each finding, and below it its fix."""
    checks = max((len(finding.check) for finding in findings), default=0)
    routes = max((len(finding.route) for finding in findings), default=0)
    return "\n".join(line for finding in findings for line in _lines(finding, checks, routes))


def as_json(findings: Sequence[CheckResult]) -> str:
    """Return one object: the worst level, and all findings."""
    told = [
        {
            "check": finding.check,
            "route": finding.route,
            "level": finding.level.name.lower(),
            "seen": finding.seen,
            "fix": finding.fix,
        }
        for finding in findings
    ]
    return json.dumps({"worst": worst(findings).name.lower(), "findings": told}, ensure_ascii=False, indent=2)


def _lines(finding: CheckResult, checks: int, routes: int) -> Iterator[str]:
    head = f"{_WORDS[finding.level]:4}  {finding.check:{checks}}  "
    head += f"{finding.route:{routes}}  " if routes else ""
    yield head + finding.seen
    if finding.fix:
        yield f"{'':6}fix: {finding.fix}"
