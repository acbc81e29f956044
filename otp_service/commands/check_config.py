"""`check-config`: everything for which `serve` would refuse to start. Touches the configuration and Redis."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from otp_service.app import open_store
from otp_service.errors import StoreUnavailable
from otp_service.settings import Mistake, Settings, examine_for_production
from otp_service.store.connect import BadRedisUrl
from otp_service.store.health import UnfitStore


def run(config: Path | None, *, offline: bool) -> None:
    """Print what is wrong and exit with 1, or say that nothing is."""
    _, mistakes = judge(config, offline=offline)
    if mistakes:
        report(mistakes)
        sys.exit(1)
    click.echo("The configuration is fit for production.")


def judge(
    config: Path | None, *, offline: bool = False, may_be_silent: bool = False
) -> tuple[Settings, list[Mistake]]:
    """Return the settings and everything that is wrong with them, the store they name included.

    A store that *may_be_silent* is no mistake while nobody can tell what it is.
    """
    settings, mistakes = examine_for_production(config, os.environ)
    is_named = not settings.redis.embedded
    if is_named and not offline and not any(mistake.where.startswith("redis") for mistake in mistakes):
        mistakes += _store_mistakes(settings, may_be_silent=may_be_silent)
    return settings, mistakes


def report(mistakes: list[Mistake]) -> None:
    """Print *mistakes* on standard error."""
    click.echo(f"The configuration has {len(mistakes)} mistake{'s' * (len(mistakes) > 1)}:", err=True)
    for mistake in mistakes:
        click.echo(f"  {mistake}", err=True)


def _store_mistakes(settings: Settings, *, may_be_silent: bool) -> list[Mistake]:
    try:
        open_store(settings, _Silence()).check()
    except UnfitStore as error:
        return [Mistake("redis.url", error.reason)]
    except StoreUnavailable:
        return [] if may_be_silent else [Mistake("redis.url", "names a server that does not answer")]
    except BadRedisUrl as error:
        return [Mistake("redis.url", str(error))]
    return []


class _Silence:
    """Events for a check that tells its findings itself."""

    def emit(self, event: str, **facts: object) -> None:
        """Drop the event."""
