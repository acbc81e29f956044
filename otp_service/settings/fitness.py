"""Fitness: everything for which a file and an environment are not fit for production. Touches files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from otp_service.settings.load import examine
from otp_service.settings.mistakes import Mistake, SettingsError, independent
from otp_service.settings.production import production_mistakes
from otp_service.settings.settings import Settings


def examine_for_production(path: Path | None, environ: Mapping[str, str]) -> tuple[Settings, list[Mistake]]:
    """Return the settings as far as they can be read, and everything for which they must not serve."""
    try:
        settings, mistakes = examine(path, environ)
    except SettingsError as error:
        return Settings(), list(error.mistakes)
    return settings, mistakes + independent(production_mistakes(settings), mistakes)
