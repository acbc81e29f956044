"""Settings: a TOML file and environment variables, read once into frozen pydantic models.

All errors are reported together, and no value is ever shown. Imports `domain` and Aliyun's protocol.
"""

from __future__ import annotations

from otp_service.settings.advice import advice
from otp_service.settings.issues import ConfigIssue, SettingsError, independent
from otp_service.settings.loader import examine, examine_for_production, from_mapping, load
from otp_service.settings.settings import Settings
from otp_service.settings.validation import renewed, validate_for_production, waiting

__all__ = [
    "ConfigIssue",
    "Settings",
    "SettingsError",
    "advice",
    "examine",
    "examine_for_production",
    "from_mapping",
    "independent",
    "load",
    "renewed",
    "validate_for_production",
    "waiting",
]
