"""The sandbox's account as a file describes it: keys, sign names, templates, reports. Touches files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError

from otp_service.settings.mistakes import Mistake, SettingsError, from_validation
from otp_service.settings.tables import Name, Table

Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]


class StsTable(Table):
    """`[sts_keys.<id>]`: one temporary access key; without *expires_at* it never ends."""

    secret: SecretStr
    security_token: SecretStr
    expires_at: datetime | None = None


class ReviewTable(Table):
    """`[reviews.<sign name or template code>]`: how far a review is, if it is not approved."""

    state: Literal["in_review", "rejected"]
    reason: str = ""


class SandboxTable(Table):
    """The whole file. What is left out is as in `SandboxConfig.default`; times in seconds."""

    access_keys: Mapping[Name, SecretStr] = {}
    sts_keys: Mapping[Name, StsTable] = {}
    sign_names: tuple[Name, ...] | None = None
    templates: Mapping[Annotated[str, Field(pattern=r"^SMS_[0-9]+$")], Name] | None = None
    reviews: Mapping[Name, ReviewTable] | None = None
    strict: bool | None = None
    inbox_size: int | None = Field(default=None, ge=1, le=1_000_000)
    delivery_seconds: float | None = Field(default=None, ge=0, le=86_400)
    report_url: Url | None = None
    reply_url: Url | None = None
    report_time_factor: float | None = Field(default=None, gt=0, le=1)
    queue_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,200}$")] | None = None
    invisible_seconds: float | None = Field(default=None, gt=0, le=43_200)
    queue_key_seconds: float | None = Field(default=None, gt=0, le=43_200)


def load_account(path: Path | None, **given: object) -> SandboxTable:
    """Read the file at *path*, if any; what is *given* otherwise, and is not None, counts instead.

    Raises:
        SettingsError: with every mistake, and without any value.
    """
    raw = {} if path is None else _read(path)
    raw.update((name, value) for name, value in given.items() if value is not None)
    try:
        return SandboxTable.model_validate(raw)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    raise SettingsError(list(from_validation(found)))


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise SettingsError([Mistake(path.name, "cannot be read as UTF-8 text")]) from None
    except tomllib.TOMLDecodeError:
        raise SettingsError([Mistake(path.name, "is not TOML")]) from None
