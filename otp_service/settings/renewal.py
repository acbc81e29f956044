"""Renewal: the settings that are read while the service runs. Touches nothing."""

from __future__ import annotations

from otp_service.settings.crosscheck import content_mistakes
from otp_service.settings.mistakes import Mistake
from otp_service.settings.settings import Settings

FIXED = ("server", "metrics")
"""Tables that need a restart: who listens where, with how many processes and threads."""


def renewed(running: Settings, fresh: Settings) -> tuple[Settings, list[Mistake]]:
    """Return *fresh* but for what only a restart changes, and what is wrong with that."""
    kept = fresh.model_copy(update={name: getattr(running, name) for name in FIXED})
    return kept, list(content_mistakes(kept))


def waiting(running: Settings, fresh: Settings) -> list[str]:
    """Name the settings that differ and need a restart."""
    return [
        f"{table}.{name}"
        for table in FIXED
        for name, value in getattr(fresh, table)
        if getattr(getattr(running, table), name) != value
    ]
