"""The environment: `OTP_SERVICE__TABLE__SETTING` overrides the file. Touches nothing: it is an argument."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

from otp_service.settings.mistakes import Mistake
from otp_service.settings.spelling import variable_meant

PREFIX = "OTP_SERVICE__"
NESTING = "__"
SERVICE = "OTP_SERVICE_"
OTHERS = ("OTP_SERVICE_CONFIG",)
"""Variables that name no setting."""

_OF_A_SERVICE = re.compile(
    r"OTP_SERVICE(_[A-Z0-9]+)*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
"""What Kubernetes sets in every container for a Service whose name begins with otp-service."""

_ACCOUNT = {
    "access_key_id": "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "access_key_secret": "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "security_token": "ALIBABA_CLOUD_SECURITY_TOKEN",
}
"""Where Alibaba's own tools look for an account."""


def overrides(settings: type[BaseModel], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what the environment says about *settings*; lists and tables are JSON."""
    return _Overrides(settings, environ)()


def unknown_variables(settings: type[BaseModel], environ: Mapping[str, str]) -> Iterator[Mistake]:
    """Tell which variables bear the name of this service but name no table of settings."""
    for name, value in environ.items():
        table = name.upper().removeprefix(PREFIX).partition(NESTING)[0].lower()
        is_setting = name.upper().startswith(PREFIX) and table in settings.model_fields
        if is_setting or not name.upper().startswith(SERVICE) or _is_of_others(name.upper(), value):
            continue
        # Others' variables may begin like ours; one that is a setting but for its spelling is ours.
        meant = variable_meant(settings, name, PREFIX, NESTING)
        if meant or name.upper().startswith(PREFIX):
            told = f"is no setting: write {meant or 'OTP_SERVICE__TABLE__SETTING'}"
            yield Mistake(f"environment {name.partition('=')[0][:64]}", told)


def _is_of_others(name: str, value: str) -> bool:
    """Tell whether *name* is no setting: where the file is, or what Kubernetes sets for a Service."""
    is_address = value.startswith(("tcp://", "udp://", "sctp://"))
    return (
        name in OTHERS or _OF_A_SERVICE.fullmatch(name) is not None or (is_address and name.endswith("_PORT"))
    )


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
