"""What is wrong with settings: where, and one sentence. Never a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import AfterValidator, BaseModel, SecretStr, ValidationError
from pydantic_core import PydanticCustomError

from otp_service.settings.spelling import meant


class ConfigIssue(NamedTuple):
    """One thing wrong: *where* is the setting's path, *what* completes the sentence "it …".

    *reads* names other settings that had to be right for this one to be judged: `routes[].name` is that of
    every route, `routes.*` all of their settings.
    """

    where: str
    what: str
    reads: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def independent(found: Iterable[ConfigIssue], told: Iterable[ConfigIssue]) -> list[ConfigIssue]:
    """Return those of *found* that do not merely follow from another issue, *told* already or found too.

    An issue follows from another one that is at, in or around the same place, or at a place that it reads.
    """
    places = [place for issue in told for place in _places(issue)]
    new = [issue for issue in found if not any(_overlaps(_steps(issue.where), p) for p in places)]
    kept = []
    for issue in sorted(new, key=lambda issue: bool(issue.reads)):  # otherwise in their order
        if not any(_reads(read, place) for read in issue.reads for place in places):
            kept.append(issue)
            places += _places(issue)
    return kept


def _places(issue: ConfigIssue) -> Iterator[list[str]]:
    """Return where *issue* is; one of a secret's file is also one of the secret."""
    yield _steps(issue.where)
    if issue.where.endswith(FILE):
        yield _steps(issue.where.removesuffix(FILE))


def _reads(read: str, place: list[str]) -> bool:
    """Tell whether *place* is the one that *read* names, or around it; or in it if *read* ends with `.*`."""
    steps = _steps(read.removesuffix(".*"))
    return _overlaps(steps, place) and (read.endswith(".*") or len(place) <= len(steps))


def _overlaps(here: list[str], there: list[str]) -> bool:
    """Tell whether one place is the other or around it; `[]` is any item of a list, `<id>` any name."""
    return all(
        a in (b, "<id>") or (a == "[]" and b.startswith("[")) for a, b in zip(here, there, strict=False)
    )


def _steps(place: str) -> list[str]:
    return re.findall(r"\[\d*\]|[^.\[\]]+", place)


class SettingsError(Exception):
    """The settings cannot be used; *issues* lists everything that is wrong with them."""

    def __init__(self, issues: Iterable[ConfigIssue]) -> None:
        self.issues = tuple(issues)
        super().__init__("\n".join(map(str, self.issues)))


FILE = "_file"
"""What a setting ends with that names the file of a secret."""

_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,64}")

TOLD = "told"
"""The type of an error whose sentence a validator of ours has written."""

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
    "finite_number": "must be a number",
    TOLD: "{what}",
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
    "date": "must be a date, like 2026-12-31",
    "datetime": "must be a time, like 2026-12-31T08:00:00Z",
    "timezone": "must be a time with its zone, like 2026-12-31T08:00:00Z",
    "path": "must be the path of a file",
    "frozen": "must be a list",
}


def invalid(what: str) -> PydanticCustomError:
    """Return what a validator raises to tell an issue; *what* must not show the value."""
    return PydanticCustomError(TOLD, "{what}", {"what": what})


def checked(issue: Callable[[str], str]) -> AfterValidator:
    """Return a validator that refuses a text, or a secret's, of which *issue* says something."""

    def check(value: str | SecretStr) -> str | SecretStr:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if what := issue(text):
            raise invalid(what)
        return value

    return AfterValidator(check)


def matching(pattern: str, what: str) -> AfterValidator:
    """Return a validator that takes only texts that match the whole *pattern*; *what* names that form."""
    form = re.compile(pattern)
    return checked(lambda text: "" if form.fullmatch(text) else what)


def issues_of(
    error: ValidationError, model: type[BaseModel]
) -> list[tuple[tuple[int | str, ...], ConfigIssue]]:
    """Return what is wrong with values for *model*, each issue with its place. No value is shown."""
    details = error.errors(include_url=False, include_input=False)
    places = [detail["loc"] for detail in details]
    found = []
    for detail in details:
        loc, kind = detail["loc"], detail["type"]
        # A list is also too short without its wrong items, and a default cannot be made of a wrong value.
        follows = any(other[: len(loc)] == loc != other for other in places)
        if not follows and kind != "default_factory_not_called":
            hint = meant(model, loc) if kind == "extra_forbidden" else ""
            what = _sentence(kind, detail.get("ctx", {})) + (f": is {hint} meant?" if hint else "")
            found.append((loc, ConfigIssue(place(loc), what)))
    return found


def place(path: Sequence[str | int]) -> str:
    """Write a path as people do: `routes[0].sign_name`. A key that is no plain name may be a secret."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step if _PLAIN.fullmatch(step) else '…'}"
    return text.removeprefix(".")


def _sentence(kind: str, facts: dict[str, Any]) -> str:
    if kind in _SENTENCES:
        return _SENTENCES[kind].format(**facts)
    return _KINDS.get(kind.partition("_")[0], "is not valid")
