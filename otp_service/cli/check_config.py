"""`check-config`: lists everything that would keep `serve` from starting."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from otp_service.app import open_store
from otp_service.cli.listening import bind_problem
from otp_service.services.interfaces import EventLogger
from otp_service.settings import ConfigIssue, Settings, advice, examine_for_production, independent
from otp_service.store.url import BadRedisUrl


def run(config: Path | None, *, offline: bool) -> None:
    """Print all issues and exit with 1, or print that there are none."""
    settings, issues = validate(config, offline=offline)
    for warning in advice(config, os.environ, settings):
        click.echo(f"Warning: {warning}", err=True)
    if issues:
        print_issues(issues)
        sys.exit(1)
    click.echo("The configuration is fit for production.")


def validate(
    config: Path | None, *, offline: bool = False, tolerate_outage: bool = False, listens: bool = True
) -> tuple[Settings, list[ConfigIssue]]:
    """Return the settings and all issues, including those of Redis and of the addresses to listen on.

    With *tolerate_outage*, a Redis that cannot be reached is not an issue, but an unsuitable one is.
    *listens* is false for a process that does not listen on `server.host`.
    """
    settings, issues = examine_for_production(config, os.environ)
    found = [] if offline or not listens else list(_host_issues(settings))
    if not settings.redis.embedded and not any(issue.where.startswith("redis") for issue in issues):
        found += _redis_issues(settings, is_offline=offline, tolerate_outage=tolerate_outage)
    issues += independent(found, issues)
    return settings, issues


def print_issues(issues: list[ConfigIssue]) -> None:
    """Print *issues* on standard error."""
    click.echo(f"The configuration has {len(issues)} error{'s' * (len(issues) > 1)}:", err=True)
    for issue in issues:
        click.echo(f"  {issue}", err=True)


def emit_warnings(config: Path | None, settings: Settings, events: EventLogger) -> None:
    """Log what does not prevent the start but should be fixed."""
    for warning in advice(config, os.environ, settings):
        events.emit("configuration_warning", setting=warning.where, what=warning.what)


class SilentEvents:
    """An `EventLogger` for commands that print their results themselves."""

    def emit(self, event: str, **facts: object) -> None:
        """Drop the event."""


def _redis_issues(settings: Settings, *, is_offline: bool, tolerate_outage: bool) -> list[ConfigIssue]:
    try:
        store = open_store(settings, SilentEvents())
    except BadRedisUrl as error:
        return [ConfigIssue("redis.url", str(error))]
    problem = None if is_offline else store.redis.diagnose()
    store.close()
    if problem is None or (tolerate_outage and not problem.is_unsuitable):
        return []
    return [ConfigIssue("redis.url", problem.seen)]


def _host_issues(settings: Settings) -> Iterator[ConfigIssue]:
    """Yield hosts and ports that cannot be used. A port in use is reported by the process that needs it."""
    places = [("server", settings.server.host, settings.server.port)]
    if settings.metrics.port:
        places.append(("metrics", settings.metrics.host, settings.metrics.port))
    for table, host, port in places:
        problem = bind_problem(host, port)
        if problem:
            yield ConfigIssue(f"{table}.{problem.setting}", problem.what)
