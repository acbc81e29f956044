"""Settings: TOML and environment variables, read once into frozen pydantic models.

Every mistake is reported at once, and no value is ever printed. Imports `domain`.
"""

from __future__ import annotations

from otp_service.settings.advice import advice
from otp_service.settings.issues import Mistake, SettingsError, independent
from otp_service.settings.loader import examine, examine_for_production, from_mapping, load
from otp_service.settings.settings import Settings
from otp_service.settings.validation import production_mistakes, renewed, waiting

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
