"""The command `doctor`: runs all checks and prints their results."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from otp_service.app import open_store
from otp_service.cli.check_config import SilentEvents
from otp_service.cli.doctor.check_result import as_json, as_text, worst
from otp_service.cli.doctor.runner import run_checks
from otp_service.settings import Settings, advice, examine_for_production
from otp_service.store.url import BadRedisUrl
from otp_service.store.verifications import RedisStore


def run(config: Path | None, *, route: str, url: str = "", as_machine: bool) -> None:
    """Print the results. The exit code is the highest status: 0 ok, 1 warn, 2 fail."""
    settings, issues = examine_for_production(config, os.environ)
    if route and route not in {table.name for table in settings.routes}:
        raise click.BadParameter("is not a route of the configuration", param_hint="--route")
    if url and not _is_http_url(url):
        raise click.BadParameter("must be an http or https URL", param_hint="--url")
    results = list(
        run_checks(settings, issues, _store(settings), route, advice(config, os.environ, settings), url=url)
    )
    click.echo(as_json(results) if as_machine else as_text(results))
    sys.exit(int(worst(results)))


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _store(settings: Settings) -> RedisStore | None:
    if settings.redis.embedded:
        return None
    try:
        return open_store(settings, SilentEvents())
    except BadRedisUrl:
        return None
