"""`doctor`: why codes do not arrive. Touches the configuration, Redis and the network."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from otp_service.app import open_store
from otp_service.doctor.examination import examine
from otp_service.doctor.finding import worst
from otp_service.doctor.report import as_json, as_text
from otp_service.settings import Mistake, Settings, SettingsError, production_mistakes
from otp_service.settings import examine as read_settings
from otp_service.store.connect import BadRedisUrl
from otp_service.store.store import RedisStore


def run(config: Path | None, *, route: str, as_machine: bool) -> None:
    """Print the findings and exit with the worst level: 0 well, 1 doubtful, 2 broken."""
    settings, mistakes = read(config)
    if route and route not in {table.name for table in settings.routes}:
        raise click.BadParameter("names no route", param_hint="--route")
    findings = list(examine(settings, mistakes, _store(settings), route))
    click.echo(as_json(findings) if as_machine else as_text(findings))
    sys.exit(int(worst(findings)))


def read(config: Path | None) -> tuple[Settings, list[Mistake]]:
    """Return the settings as far as they can be read, and everything that is wrong with them."""
    try:
        settings, mistakes = read_settings(config, os.environ)
    except SettingsError as error:
        return Settings(), list(error.mistakes)
    told = {mistake.where for mistake in mistakes}
    return settings, mistakes + [m for m in production_mistakes(settings) if m.where not in told]


def _store(settings: Settings) -> RedisStore | None:
    if settings.redis.embedded:
        return None
    try:
        return open_store(settings, _Silence())
    except BadRedisUrl:
        return None


class _Silence:
    """Events for a command that tells its findings itself."""

    def emit(self, event: str, **facts: object) -> None:
        """Drop the event."""
