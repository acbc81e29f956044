"""`check-config`: everything for which `serve` would refuse to start. Touches the configuration and Redis."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from otp_service.app import open_store
from otp_service.cli.hosts import bind_fault
from otp_service.services.interfaces import EventLogger
from otp_service.settings import ConfigIssue, Settings, advice, examine_for_production, independent
from otp_service.store.url import BadRedisUrl


def run(config: Path | None, *, offline: bool) -> None:
    """Print what is wrong and exit with 1, or say that nothing is."""
    settings, mistakes = judge(config, offline=offline)
    for warning in advice(config, os.environ, settings):
        click.echo(f"Warning: {warning}", err=True)
    if mistakes:
        report(mistakes)
        sys.exit(1)
    click.echo("The configuration is fit for production.")


def judge(
    config: Path | None, *, offline: bool = False, may_be_silent: bool = False, listens: bool = True
) -> tuple[Settings, list[ConfigIssue]]:
    """Return the settings and everything that is wrong with them, the store they name included.

    A store that *may_be_silent* is no mistake while nobody can tell what it is. Who *listens* must be able to
    do so at the host of the settings.
    """
    settings, mistakes = examine_for_production(config, os.environ)
    found = [] if offline or not listens else list(_host_mistakes(settings))
    if not settings.redis.embedded and not any(mistake.where.startswith("redis") for mistake in mistakes):
        found += _store_mistakes(settings, is_offline=offline, may_be_silent=may_be_silent)
    mistakes += independent(found, mistakes)
    return settings, mistakes


def report(mistakes: list[ConfigIssue]) -> None:
    """Print *mistakes* on standard error."""
    click.echo(f"The configuration has {len(mistakes)} mistake{'s' * (len(mistakes) > 1)}:", err=True)
    for mistake in mistakes:
        click.echo(f"  {mistake}", err=True)


def emit_warnings(config: Path | None, settings: Settings, events: EventLogger) -> None:
    """Log what keeps nobody from serving and should be mended all the same."""
    for warning in advice(config, os.environ, settings):
        events.emit("configuration_warning", setting=warning.where, what=warning.what)


def _store_mistakes(settings: Settings, *, is_offline: bool, may_be_silent: bool) -> list[ConfigIssue]:
    try:
        store = open_store(settings, _Silence())
    except BadRedisUrl as error:
        return [ConfigIssue("redis.url", str(error))]
    trouble = None if is_offline else store.diagnose()
    store.close()
    if trouble is None or (may_be_silent and not trouble.is_unfit):
        return []
    return [ConfigIssue("redis.url", trouble.seen)]


def _host_mistakes(settings: Settings) -> Iterator[ConfigIssue]:
    """Tell which host or port nobody can listen at; that a port is taken is told by who wants to listen."""
    places = [("server", settings.server.host, settings.server.port)]
    if settings.metrics.port:
        places.append(("metrics", settings.metrics.host, settings.metrics.port))
    for table, host, port in places:
        fault = bind_fault(host, port)
        if fault:
            yield ConfigIssue(f"{table}.{fault.setting}", fault.what)


class _Silence:
    """Events for a check that tells its findings itself."""

    def emit(self, event: str, **facts: object) -> None:
        """Drop the event."""
