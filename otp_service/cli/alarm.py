"""`alarm`: shows the service-wide alarm for wrong codes, and clears it on request."""

from __future__ import annotations

import json
from pathlib import Path

import click

from otp_service.cli.admin import open_session
from otp_service.cli.limits import LimitsOptions
from otp_service.domain.limits import GlobalFailureLimits
from otp_service.observability.clock import SystemClock
from otp_service.store.admin import GlobalFailureStats

LEVELS = ("off", "on: browsers solve a risk challenge", "on: browsers solve a hard risk challenge")


def run(config: Path | None, options: LimitsOptions) -> None:
    """Print the state of the alarm, and clear it if *options* say so."""
    session = open_session(config)
    limits, now = session.settings.policy().risk.global_failures, SystemClock().now()
    with session.store_access():
        facts = session.admin.global_failures(limits, now)
    if not options.as_json:
        click.echo(alarm_text(facts, limits))
    if options.clear and not options.yes:
        click.confirm("Clear the alarm?", abort=True, err=True)
    if options.clear:
        with session.store_access():
            session.admin.clear_global_failures(now)
        session.events.emit(
            "alarm_cleared", alarm_level=facts.level, wrong=facts.wrong, approved=facts.approved
        )
    if options.as_json:
        click.echo(json.dumps({**alarm_json(facts, limits), "cleared": options.clear}))
    elif options.clear:
        click.echo("Cleared.")


def alarm_text(facts: GlobalFailureStats, limits: GlobalFailureLimits) -> str:
    """Return the state of the alarm as text."""
    easy, hard = limits.thresholds(facts.approved)
    lines = {
        "wrong-code alarm": LEVELS[facts.level],
        "wrong codes": f"{facts.wrong} today, in verifications that were not approved",
        "approvals": f"{facts.approved} today",
        "level 1": f"from {easy} wrong codes",
        "level 2": f"from {hard} wrong codes",
    }
    width = max(map(len, lines)) + 2
    return "\n".join(f"{name:<{width}}{value}" for name, value in lines.items())


def alarm_json(facts: GlobalFailureStats, limits: GlobalFailureLimits) -> dict[str, object]:
    """Return the state of the alarm for `--json`."""
    easy, hard = limits.thresholds(facts.approved)
    return {
        "alarm_level": facts.level,
        "wrong": facts.wrong,
        "approved": facts.approved,
        "thresholds": {"1": easy, "2": hard},
    }
