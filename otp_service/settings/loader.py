"""Load the settings from a TOML file and the environment, or report all of their errors.

pydantic-settings reads the environment. This module does what it cannot:

- `TomlConfigSettingsSource` skips a missing file and refuses a byte order mark: `read_toml` calls `tomllib`.
- `BaseSettings` stops at invalid values. Here they are replaced by their defaults (`_without`), so that
  everything else is validated in the same run. This needs the merged values, which `BaseSettings` does not
  expose, so `Settings` is a plain model. (`BaseSettings` would also accept a key such as `_env_file` as one
  of its own options, but an unknown setting must be rejected.)
- A source cannot change an item of a list that another source has provided, which the `*_file` settings of a
  route require, so `read_secret_files` works on the merged values.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

from otp_service.settings.issues import ConfigIssue, SettingsError, independent, issues_of, variable_meant
from otp_service.settings.routes import ALIYUN_SMS
from otp_service.settings.secret_settings import (
    UnreadableFile,
    read_secret_files,
    read_text,
    unusable_redis_files,
)
from otp_service.settings.settings import Settings
from otp_service.settings.validation import validate, validate_for_production

PREFIX, NESTING = "OTP_SERVICE__", "__"
_SERVICE = "OTP_SERVICE_"
_CONFIG_PATH = "OTP_SERVICE_CONFIG"
"""The variable that names the configuration file. It is not a setting."""

_KUBERNETES = re.compile(
    r"OTP_SERVICE(_[A-Z0-9]+)*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
"""Variables that Kubernetes sets in every container for a Service whose name begins with otp-service."""

_ALIBABA = {
    "access_key_id": "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "access_key_secret": "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "security_token": "ALIBABA_CLOUD_SECURITY_TOKEN",
}
"""The variables from which Alibaba's own tools read an account."""

_POSITION = re.compile(r"\(at (.*)\)$")


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the file at *path*, if any, overridden by *environ*.

    Raises:
        SettingsError: with all issues, without any value.
    """
    return _require_no_issues(*examine(path, environ))


def from_mapping(raw: Mapping[str, Any]) -> Settings:
    """Return the settings in *raw*, which has the structure of the TOML file.

    Raises:
        SettingsError: with all issues, without any value.
    """
    return _require_no_issues(*_validated(raw, []))


def examine(path: Path | None, environ: Mapping[str, str]) -> tuple[Settings, list[ConfigIssue]]:
    """Return the valid part of the settings and all issues.

    Raises:
        SettingsError: the file cannot be read or is not TOML.
    """
    raw = read_raw(path, environ)
    apply_alibaba_env(raw, environ)
    issues = [*unknown_variables(environ), *read_secret_files(raw), *unusable_redis_files(raw)]
    return _validated(raw, issues)


def examine_for_production(
    path: Path | None, environ: Mapping[str, str]
) -> tuple[Settings, list[ConfigIssue]]:
    """Return the valid part of the settings and all issues, including those of production."""
    try:
        settings, issues = examine(path, environ)
    except SettingsError as error:
        return Settings(), list(error.issues)
    return settings, issues + independent(validate_for_production(settings), issues)


def read_raw(path: Path | None, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the unvalidated values of the file at *path*, if any, overridden by *environ*.

    Raises:
        SettingsError: the file cannot be read or is not TOML.
    """
    return _merged({} if path is None else read_toml(path), Environment(environ)())


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of the file at *path*.

    Raises:
        SettingsError: it cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(read_text(path))
    except UnreadableFile as error:
        raise SettingsError([ConfigIssue(path.name, error.reason)]) from None
    except tomllib.TOMLDecodeError as error:
        found = _POSITION.search(str(error))  # the rest of the message may quote the file
        position = found[1] if found else "its tables and keys"
        raise SettingsError([ConfigIssue(path.name, f"is not TOML: see {position}")]) from None


class Environment(EnvSettingsSource):
    """The variables `OTP_SERVICE__TABLE__SETTING` of a mapping; lists and tables are JSON."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        # The source uses only the fields of the class, which a plain model has too.
        super().__init__(
            cast("type[BaseSettings]", Settings), env_prefix=PREFIX, env_nested_delimiter=NESTING
        )
        self.env_vars = {name.lower(): value for name, value in environ.items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Return *value* unchanged if it is not JSON: validation reports it with all other issues."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


def unknown_variables(environ: Mapping[str, str]) -> Iterator[ConfigIssue]:
    """Yield variables that begin with the name of this service but do not name a table of settings.

    The source ignores them. A variable of another program may begin with `OTP_SERVICE_` too; it is reported
    only if it begins with `OTP_SERVICE__` or resembles a setting.
    """
    for written, value in environ.items():
        name = written.upper()
        table = name.removeprefix(PREFIX).partition(NESTING)[0].lower()
        is_setting = name.startswith(PREFIX) and table in Settings.model_fields
        if is_setting or not name.startswith(_SERVICE) or _is_foreign(name, value):
            continue
        meant = variable_meant(Settings, written, PREFIX, NESTING)
        if meant or name.startswith(PREFIX):
            what = f"is not a setting: write {meant or 'OTP_SERVICE__TABLE__SETTING'}"
            yield ConfigIssue(f"environment {written.partition('=')[0][:64]}", what)


def _is_foreign(name: str, value: str) -> bool:
    is_address = name.endswith("_PORT") and value.startswith(("tcp://", "udp://", "sctp://"))
    return name == _CONFIG_PATH or is_address or _KUBERNETES.fullmatch(name) is not None


def apply_alibaba_env(raw: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Set the account of Alibaba's variables on every Aliyun route that has none of its own."""
    account = {name: environ[variable] for name, variable in _ALIBABA.items() if environ.get(variable)}
    for route in raw["routes"] if isinstance(raw.get("routes"), list) else ():
        is_aliyun = isinstance(route, dict) and str(route.get("provider", ALIYUN_SMS)).startswith("aliyun-")
        if is_aliyun and not any(key.removesuffix("_file") in _ALIBABA for key in route):
            route.update(account)


def _require_no_issues(settings: Settings, issues: Sequence[ConfigIssue]) -> Settings:
    if issues:
        raise SettingsError(issues)
    return settings


def _validated(raw: Mapping[str, Any], issues: list[ConfigIssue]) -> tuple[Settings, list[ConfigIssue]]:
    """Return the valid part of *raw*, and *issues* together with those found by validation."""
    while True:
        try:
            settings = Settings(**raw)
        except ValidationError as error:
            found = issues_of(error, Settings)
            issues += independent([issue for _, issue in found], issues)
            raw = _without(raw, [place for place, _ in found])
        else:
            return settings, issues + independent(validate(settings), issues)


def _merged(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(low)
    for key, value in high.items():
        below = both.get(key)
        both[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return both


def _without(raw: Any, places: Sequence[Sequence[int | str]]) -> Any:
    """Return a copy of *raw* without the values at *places*, or without their innermost existing parents."""
    kept = {}
    for step, inner in _items(raw).items():
        below = [place[1:] for place in places if place[0] == step]
        if all(place and place[0] in _items(inner) for place in below):
            kept[step] = _without(inner, below) if below else inner
    return list(kept.values()) if isinstance(raw, list) else kept


def _items(raw: object) -> dict[Any, Any]:
    """Return the items of a table or list by name or number; empty if *raw* is a plain value."""
    if isinstance(raw, list):
        return dict(enumerate(raw))
    return dict(raw) if isinstance(raw, Mapping) else {}
