"""`alarm`: shows the wrong-code alarm and ends it on request."""

from __future__ import annotations

import json
from pathlib import Path

import click

from otp_service.cli.admin import handle_store_errors, open_session
from otp_service.cli.limits import Wish
from otp_service.domain.limits import GlobalFailureLimits
from otp_service.observability.clock import SystemClock
from otp_service.store.admin import GlobalFailureStats

LEVELS = ("off", "on: browsers solve a risk challenge", "on: browsers solve a hard risk challenge")


def run(config: Path | None, wish: Wish) -> None:
    """Show the alarm, and clear it on demand."""
    session = open_session(config)
    limits, now = session.settings.policy().risk.global_failures, SystemClock().now()
    with handle_store_errors():
        facts = session.admin.global_failures(limits, now)
    if not wish.as_json:
        click.echo(alarm_text(facts, limits))
    if wish.clear and not wish.yes:
        click.confirm("Clear the alarm?", abort=True, err=True)
    if wish.clear:
        with handle_store_errors():
            session.admin.clear_global_failures(now)
        session.events.emit(
            "alarm_cleared", alarm_level=facts.level, wrong=facts.wrong, approved=facts.approved
        )
    if wish.as_json:
        click.echo(json.dumps({**alarm_json(facts, limits), "cleared": wish.clear}))
    elif wish.clear:
        click.echo("Cleared.")


def alarm_text(facts: GlobalFailureStats, limits: GlobalFailureLimits) -> str:
    """Return how the alarm stands, for people."""
    easy, hard = limits.thresholds(facts.approved)
    lines = {
        "wrong-code alarm": LEVELS[facts.level],
        "wrong codes": f"{facts.wrong} today, of verifications that were never approved",
        "approvals": f"{facts.approved} today",
        "level 1": f"from {easy} wrong codes",
        "level 2": f"from {hard} wrong codes",
    }
    width = max(map(len, lines)) + 2
    return "\n".join(f"{name:<{width}}{what}" for name, what in lines.items())


def alarm_json(facts: GlobalFailureStats, limits: GlobalFailureLimits) -> dict[str, object]:
    """Return how the alarm stands, for programs."""
    easy, hard = limits.thresholds(facts.approved)
    return {
        "alarm_level": facts.level,
        "wrong": facts.wrong,
        "approved": facts.approved,
        "thresholds": {"1": easy, "2": hard},
    }
