"""Loading: a TOML file and the environment become settings, or one list of all mistakes. Touches files.

The form is read first. What is wrong in form is left out, so that its default stands in and the content of
everything else can be judged in the same run; a second mistake in the same place is not told.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from otp_service.settings import environment
from otp_service.settings.crosscheck import content_mistakes
from otp_service.settings.mistakes import Mistake, SettingsError, from_validation, independent
from otp_service.settings.secret_files import files_of_redis, read_secret_files
from otp_service.settings.settings import Settings
from otp_service.settings.spelling import meant
from otp_service.settings.text_files import UnreadableFile, read_text

_FOLLOWS = "default_factory_not_called"
"""What pydantic says of a default that is made of a value which is wrong itself."""

_POSITION = re.compile(r"\(at (.*)\)$")


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the file at *path*, if any, and what *environ* overrides.

    Raises:
        SettingsError: with every mistake, and without any value.
    """
    settings, mistakes = examine(path, environ)
    if mistakes:
        raise SettingsError(mistakes)
    return settings


def examine(path: Path | None, environ: Mapping[str, str]) -> tuple[Settings, list[Mistake]]:
    """Return the settings as far as they can be read, and everything that is wrong with them.

    Raises:
        SettingsError: the file cannot be read or is no TOML.
    """
    raw = read_raw(path, environ)
    environment.lend_account(raw, environ)
    files = [*read_secret_files(raw), *files_of_redis(raw)]
    return _judged(raw, [*environment.unknown_variables(Settings, environ), *files])


def read_raw(path: Path | None, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what the file at *path*, if any, and *environ* say, as it stands there.

    Raises:
        SettingsError: the file cannot be read or is no TOML.
    """
    return _merged({} if path is None else read_toml(path), environment.overrides(Settings, environ))


def from_mapping(raw: Mapping[str, Any]) -> Settings:
    """Return the settings that *raw*, shaped like the TOML file, describes.

    Raises:
        SettingsError: with every mistake, and without any value.
    """
    settings, mistakes = _judged(copy.deepcopy(dict(raw)), [])
    if mistakes:
        raise SettingsError(mistakes)
    return settings


def _judged(raw: dict[str, Any], mistakes: list[Mistake]) -> tuple[Settings, list[Mistake]]:
    """Return what *raw* says as far as it is sound, and *mistakes* with all that were found."""
    settings, form = _salvaged(raw)
    mistakes += form
    return settings, mistakes + independent(content_mistakes(settings), mistakes)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of the file at *path*.

    Raises:
        SettingsError: it cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(read_text(path))
    except UnreadableFile as error:
        raise SettingsError([Mistake(path.name, error.reason)]) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([Mistake(path.name, f"is not TOML: {_position(error)}")]) from None


def _position(error: tomllib.TOMLDecodeError) -> str:
    """Return the place alone: the message may quote the text around it."""
    found = _POSITION.search(str(error))
    return f"see {found[1]}" if found else "see its tables and keys"


def _merged(low: dict[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(low)
    for key, value in high.items():
        below = both.get(key)
        both[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return both


def _salvaged(raw: dict[str, Any]) -> tuple[Settings, list[Mistake]]:
    """Return the settings without what is wrong in form, and what that is."""
    mistakes: list[Mistake] = []
    while True:
        try:
            return Settings(**raw), mistakes
        except ValidationError as error:
            told = error.errors(include_url=False, include_input=False)
        found = [detail for detail in told if detail["type"] != _FOLLOWS]
        inner = [detail for detail in found if not any(_is_around(detail, other) for other in found)]
        mistakes += independent(map(_with_a_hint, inner, from_validation(inner)), mistakes)
        for path in sorted({detail["loc"] for detail in inner}, key=_last_first):
            if _has(raw, path[0]):  # not if what is around it was just dropped
                _drop(raw, path)


def _is_around(detail: ErrorDetails, other: ErrorDetails) -> bool:
    """Tell whether *detail* is about the list that is too short without the wrong item of *other*."""
    place, inner = detail["loc"], other["loc"]
    return len(place) < len(inner) and inner[: len(place)] == place


def _with_a_hint(detail: ErrorDetails, mistake: Mistake) -> Mistake:
    """Return *mistake*, with the setting that may have been meant if it is one that there is not."""
    name = meant(Settings, detail["loc"]) if detail["type"] == "extra_forbidden" else ""
    return mistake._replace(what=f"{mistake.what}: is {name} meant?") if name else mistake


def _last_first(path: Sequence[int | str]) -> list[tuple[bool, int, str]]:
    """Order paths so that dropping one does not move the items that are still to be dropped."""
    return [(isinstance(step, int), -step if isinstance(step, int) else 0, str(step)) for step in path]


def _drop(raw: Any, path: Sequence[int | str]) -> None:
    """Remove what lies at *path*, or the innermost thing on the way to it."""
    step, *rest = path
    inner = raw[step]
    if rest and _has(inner, rest[0]):
        _drop(inner, rest)
    else:
        del raw[step]


def _has(raw: object, step: int | str) -> bool:
    if isinstance(raw, list):
        return isinstance(step, int) and step < len(raw)
    return isinstance(raw, dict) and step in raw
