"""The environment: `OTP_SERVICE__TABLE__SETTING` overrides the file. Touches nothing: it is an argument."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

from otp_service.settings.mistakes import Mistake

PREFIX = "OTP_SERVICE__"
NESTING = "__"

_ACCOUNT = {
    "access_key_id": "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "access_key_secret": "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "security_token": "ALIBABA_CLOUD_SECURITY_TOKEN",
}
"""Where Alibaba's own tools look for an account."""


def overrides(settings: type[BaseModel], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what the environment says about *settings*; lists and tables are JSON."""
    return _Overrides(settings, environ)()


def unknown_tables(settings: type[BaseModel], environ: Mapping[str, str]) -> Iterator[Mistake]:
    """Tell which variables look like settings but name no table."""
    for name in environ:
        table = name.upper().removeprefix(PREFIX).partition(NESTING)[0].lower()
        if name.upper().startswith(PREFIX) and table not in settings.model_fields:
            yield Mistake(f"environment {name.partition('=')[0][:64]}", "names no table of settings")


def lend_account(raw: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Give Alibaba's variables to every Aliyun route that names no account of its own."""
    account = {name: environ[variable] for name, variable in _ACCOUNT.items() if environ.get(variable)}
    routes = raw.get("routes")
    for route in routes if isinstance(routes, list) else ():
        if isinstance(route, dict) and _is_aliyun(route) and not _names_account(route):
            route.update(account)


def _is_aliyun(route: dict[str, Any]) -> bool:
    return str(route.get("provider", "aliyun-sms")).startswith("aliyun-")


def _names_account(route: dict[str, Any]) -> bool:
    return any(key.removesuffix("_file") in _ACCOUNT for key in route)


class _Overrides(EnvSettingsSource):
    """pydantic-settings' reader, on a mapping, leaving texts that are no JSON to the validation."""

    def __init__(self, settings: type[BaseModel], environ: Mapping[str, str]) -> None:
        self._environ = environ
        # Of the class it reads only the fields, so that a plain model serves as well.
        super().__init__(
            cast("type[BaseSettings]", settings), env_prefix=PREFIX, env_nested_delimiter=NESTING
        )

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Return *value* itself when it is no JSON: it is reported with all other mistakes."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value
