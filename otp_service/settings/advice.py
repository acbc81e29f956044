"""Advice: what is no mistake, and what an operator should know before codes go out. Touches files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from otp_service.aliyun.numbers import can_read_as_mainland
from otp_service.messages import MAINLAND
from otp_service.phone import calling_code
from otp_service.settings.file_modes import exposure
from otp_service.settings.load import read_raw, read_toml
from otp_service.settings.mistakes import Mistake, SettingsError
from otp_service.settings.routes import ALIYUN_SMS
from otp_service.settings.secret_files import holds_secrets, secret_files
from otp_service.settings.settings import Settings

_CANNOT_SEND = "cannot send to most numbers of"
_WHY = (
    "SendSms takes them without a plus sign, and without it +1 3… to +1 9… are numbers of the mainland; "
    "another provider must serve them"
)


def advice(path: Path | None, environ: Mapping[str, str], settings: Settings) -> list[Mistake]:
    """Return what the *settings*, read from *path* and *environ*, should not be without a reason."""
    return [*_exposed(path, environ), *_misread(settings)]


def _misread(settings: Settings) -> Iterator[Mistake]:
    """Tell which routes cannot send to most numbers of a country that no other provider serves."""
    countries = [
        country
        for country in sorted(settings.service.countries)
        if country != MAINLAND and can_read_as_mainland(calling_code(country))
    ]
    others = [route for route in settings.routes if route.provider != ALIYUN_SMS]
    for number, route in enumerate(settings.routes):
        served = [country for country in countries if route.sends_to(country)]
        left = [country for country in served if not any(other.sends_to(country) for other in others)]
        if route.provider == ALIYUN_SMS and left:
            yield Mistake(f"routes[{number}]", f"{_CANNOT_SEND} {', '.join(left)}: {_WHY}")


def _exposed(path: Path | None, environ: Mapping[str, str]) -> Iterator[Mistake]:
    """Tell which files with secrets other users can read; a configuration without any may be public."""
    try:
        if path is not None and holds_secrets(read_toml(path)):
            yield from exposure(path.name, path)
        for where, file in secret_files(read_raw(path, environ)):
            yield from exposure(where, file)
    except SettingsError:
        return  # told as a mistake
