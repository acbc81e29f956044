"""Settings: TOML and environment, read once, frozen; every mistake told at once, no value ever printed."""

from __future__ import annotations

from otp_service.settings.advice import advice
from otp_service.settings.fitness import examine_for_production
from otp_service.settings.load import examine, from_mapping, load
from otp_service.settings.mistakes import Mistake, SettingsError, independent
from otp_service.settings.production import production_mistakes
from otp_service.settings.renewal import renewed, waiting
from otp_service.settings.settings import Settings

__all__ = [
    "Mistake",
    "Settings",
    "SettingsError",
    "advice",
    "examine",
    "examine_for_production",
    "from_mapping",
    "independent",
    "load",
    "production_mistakes",
    "renewed",
    "waiting",
]
