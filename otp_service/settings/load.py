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

from otp_service.settings import environment
from otp_service.settings.crosscheck import content_mistakes
from otp_service.settings.mistakes import Mistake, SettingsError, from_validation
from otp_service.settings.secret_files import read_secret_files, unreadable_files
from otp_service.settings.settings import Settings

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
    raw = {} if path is None else _read(path)
    raw = _merged(raw, environment.overrides(Settings, environ))
    environment.lend_account(raw, environ)
    files = [*read_secret_files(raw), *unreadable_files(raw)]
    return _judged(raw, [*environment.unknown_tables(Settings, environ), *files])


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
    told = tuple(mistake.where for mistake in mistakes)
    content = [mistake for mistake in content_mistakes(settings) if not _overlaps(mistake.where, told)]
    return settings, mistakes + content


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise SettingsError([Mistake(path.name, "cannot be read")]) from None
    except UnicodeDecodeError:
        raise SettingsError([Mistake(path.name, "is not UTF-8 text")]) from None
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
    mistakes: dict[Mistake, None] = {}
    while True:
        try:
            return Settings(**raw), list(mistakes)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
        mistakes.update(dict.fromkeys(from_validation(found)))
        for path in sorted({detail["loc"] for detail in found}, key=_last_first):
            if _has(raw, path[0]):  # not if what is around it was just dropped
                _drop(raw, path)


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


def _overlaps(where: str, told: tuple[str, ...]) -> bool:
    """Tell whether something at, in or around *where* was told already."""
    return any(_within(where, other) or _within(other, where) for other in told)


def _within(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith((f"{outer}.", f"{outer}["))
