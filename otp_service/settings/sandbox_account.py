"""The file that describes the account of the sandbox: keys, sign names, templates, reports."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError

from otp_service.settings.fields import Config, Name
from otp_service.settings.issues import SettingsError, issues_of, matching
from otp_service.settings.loader import read_toml

Url = Annotated[str, matching(r"https?://\S+", "must be http://… or https://…")]
TemplateCode = Annotated[str, matching(r"SMS_[0-9]+", "must be SMS_ and digits, like SMS_154950909")]
QueuePrefix = Annotated[str, matching(r"[A-Za-z0-9-]{1,200}", "must be 1 to 200 of A-Z a-z 0-9 -")]


class StsKeyConfig(Config):
    """`[sts_keys.<id>]`: one temporary AccessKey; without *expires_at* it never expires."""

    secret: SecretStr
    security_token: SecretStr
    expires_at: datetime | None = None


class ReviewConfig(Config):
    """`[reviews.<sign name or template code>]`: the state of a review that is not approved."""

    state: Literal["in_review", "rejected"]
    reason: str = ""


class SandboxAccountConfig(Config):
    """The whole file. Defaults are those of `SandboxConfig.default`; times in seconds."""

    access_keys: Mapping[Name, SecretStr] = {}
    sts_keys: Mapping[Name, StsKeyConfig] = {}
    sign_names: tuple[Name, ...] | None = None
    templates: Mapping[TemplateCode, Name] | None = None
    international_templates: tuple[Name, ...] | None = None
    reviews: Mapping[Name, ReviewConfig] | None = None
    strict: bool | None = None
    inbox_size: int | None = Field(default=None, ge=1, le=1_000_000)
    delivery_seconds: float | None = Field(default=None, ge=0, le=86_400)
    report_url: Url | None = None
    reply_url: Url | None = None
    report_time_factor: float | None = Field(default=None, gt=0, le=1)
    queue_prefix: QueuePrefix | None = None
    invisible_seconds: float | None = Field(default=None, gt=0, le=43_200)
    queue_key_seconds: float | None = Field(default=None, gt=0, le=43_200)


def load_account(path: Path | None, **given: object) -> SandboxAccountConfig:
    """Read the file at *path*, if any. The settings *given* as arguments override it unless they are None.

    Raises:
        SettingsError: with all issues, without any value.
    """
    raw = {} if path is None else read_toml(path)
    raw.update((name, value) for name, value in given.items() if value is not None)
    try:
        return SandboxAccountConfig.model_validate(raw)
    except ValidationError as error:
        found = issues_of(error, SandboxAccountConfig)
    raise SettingsError([issue for _, issue in found])
