"""Warnings about valid settings that an operator should know of before the service starts."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from otp_service.domain.messages import MAINLAND
from otp_service.domain.phone import calling_code
from otp_service.settings.issues import ConfigIssue, SettingsError
from otp_service.settings.loader import read_raw, read_toml
from otp_service.settings.routes import ALIYUN_SMS
from otp_service.settings.secret_settings import holds_secrets, secret_files
from otp_service.settings.settings import Settings
from otp_service.sms.aliyun.protocol.phone_numbers import can_read_as_mainland

_FOR_A_GROUP = stat.S_IXGRP | stat.S_IXOTH

_CANNOT_SEND = "cannot send to most numbers of"
_WHY = (
    "SendSms takes numbers without the plus sign, and without it +1 3… to +1 9… look like mainland numbers; "
    "use another provider for them"
)


def advice(path: Path | None, environ: Mapping[str, str], settings: Settings) -> list[ConfigIssue]:
    """Return warnings about the *settings*, which were read from *path* and *environ*."""
    return [*_exposed(path, environ), *_misread(settings)]


def _misread(settings: Settings) -> Iterator[ConfigIssue]:
    """Yield routes that cannot send to most numbers of a country that no other provider serves."""
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
            yield ConfigIssue(f"routes[{number}]", f"{_CANNOT_SEND} {', '.join(left)}: {_WHY}")


def _exposed(path: Path | None, environ: Mapping[str, str]) -> Iterator[ConfigIssue]:
    """Yield files with secrets that other users can read; a configuration without secrets may be public."""
    try:
        if path is not None and holds_secrets(read_toml(path)):
            yield from exposure(path.name, path)
        for where, file in secret_files(read_raw(path, environ)):
            yield from exposure(where, file)
    except SettingsError:
        return  # reported by the loader


def exposure(where: str, path: Path, user: int | None = None) -> Iterator[ConfigIssue]:
    """Yield an issue if other users can read the file at *path*, which the setting *where* names.

    A file in a directory that other users cannot enter is not exposed, whatever its own mode is. A file that
    its group can read is reported only if it belongs to *user*, by default the user of this process. With
    another owner, or as root, the service itself reads the file through its group.
    """
    user = os.geteuid() if user is None else user
    try:
        file = path.resolve(strict=True)
        found = file.stat()
        folders = [folder.stat().st_mode for folder in file.parents]
    except (OSError, ValueError):
        return
    is_own = found.st_uid == user != 0
    command = f"chmod {'go' if is_own else 'o'}= {shlex.quote(str(path))}"
    if not found.st_uid:
        # The service can read a file of root that is closed to others only through its group.
        command = f"chgrp otp-service {shlex.quote(str(path))} && chmod 640 {shlex.quote(str(path))}"
    if found.st_mode & stat.S_IROTH and all(folder & stat.S_IXOTH for folder in folders):
        yield ConfigIssue(where, f"can be read by every user of this machine: {command}")
    elif is_own and found.st_mode & stat.S_IRGRP and all(folder & _FOR_A_GROUP for folder in folders):
        yield ConfigIssue(where, f"can be read by its group: {command}")
