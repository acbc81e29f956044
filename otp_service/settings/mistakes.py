"""Mistakes in the settings: where, and what in one sentence. Never a value. Touches nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pydantic_core import ErrorDetails


class Mistake(NamedTuple):
    """One thing wrong: *where* is the setting's path, *what* completes the sentence "it …"."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class SettingsError(Exception):
    """The settings cannot be used; *mistakes* lists everything that is wrong with them."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))


_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,64}")

_SENTENCES = {
    "extra_forbidden": "is not a setting",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "too_short": "needs at least {min_length}",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "does not have the right form",
    "finite_number": "must be a number",
}
"""Our words for pydantic's error types. Its own texts may quote the value, so none of them is used."""

_KINDS = {
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "string": "must be text",
    "tuple": "must be a list",
    "dict": "must be a table",
    "model": "must be a table",
}


def from_validation(errors: Iterable[ErrorDetails]) -> Iterator[Mistake]:
    """Turn what pydantic found into mistakes."""
    for error in errors:
        yield Mistake(place(error["loc"]), _sentence(error["type"], error.get("ctx", {})))


def place(path: Sequence[str | int]) -> str:
    """Write a path as people do: `routes[0].sign_name`. A key that is no plain name may be a secret."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step if _PLAIN.fullmatch(step) else '…'}"
    return text.removeprefix(".")


def _sentence(kind: str, facts: dict[str, object]) -> str:
    if kind in _SENTENCES:
        return _SENTENCES[kind].format(**facts)
    return _KINDS.get(kind.partition("_")[0], "is not valid")
