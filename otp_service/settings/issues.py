"""Issues of a configuration: the path of a setting and one sentence, never a value; and spelling hints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic import AfterValidator, BaseModel, SecretStr, ValidationError
from pydantic_core import PydanticCustomError


class ConfigIssue(NamedTuple):
    """One error: *where* is the path of the setting, *what* completes the sentence "it …".

    *reads* names other settings that the rule depends on: `routes[].name` is the name of every route,
    `routes.*` is every setting of every route.
    """

    where: str
    what: str
    reads: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def independent(found: Iterable[ConfigIssue], known: Iterable[ConfigIssue]) -> list[ConfigIssue]:
    """Return the issues of *found* that are not a consequence of another one, in *known* or in *found*.

    An issue is a consequence of one at the same path, inside or around it, or at a path that it reads.
    """
    places = [place for issue in known for place in _places(issue)]
    new = [issue for issue in found if not any(_overlaps(_steps(issue.where), p) for p in places)]
    kept = []
    for issue in sorted(new, key=lambda issue: bool(issue.reads)):  # otherwise in their order
        if not any(_reads(read, place) for read in issue.reads for place in places):
            kept.append(issue)
            places += _places(issue)
    return kept


def _places(issue: ConfigIssue) -> Iterator[list[str]]:
    """Yield the paths of *issue*; an issue of a secret's file is also one of the secret."""
    yield _steps(issue.where)
    if issue.where.endswith(FILE):
        yield _steps(issue.where.removesuffix(FILE))


def _reads(read: str, place: list[str]) -> bool:
    """Return whether *place* is or contains what *read* names, or lies in it if *read* ends with `.*`."""
    steps = _steps(read.removesuffix(".*"))
    return _overlaps(steps, place) and (read.endswith(".*") or len(place) <= len(steps))


def _overlaps(here: list[str], there: list[str]) -> bool:
    """Return whether one path contains the other; `[]` is any item of a list, `<id>` any name."""
    return all(
        a in (b, "<id>") or (a == "[]" and b.startswith("[")) for a, b in zip(here, there, strict=False)
    )


def _steps(place: str) -> list[str]:
    return re.findall(r"\[\d*\]|[^.\[\]]+", place)


class SettingsError(Exception):
    """The settings cannot be used; *issues* lists every error."""

    def __init__(self, issues: Iterable[ConfigIssue]) -> None:
        self.issues = tuple(issues)
        super().__init__("\n".join(map(str, self.issues)))


FILE = "_file"
"""The suffix of a setting that names the file of a secret."""

_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,64}")

CUSTOM = "known"
"""The type of errors whose sentence was written by one of our validators."""

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
    CUSTOM: "{what}",
}
"""Our texts for pydantic's error types. Its own texts may quote the value, so they are not used."""

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
    """Return the error that a validator raises; *what* must not show the value."""
    return PydanticCustomError(CUSTOM, "{what}", {"what": what})


def checked(issue: Callable[[str], str]) -> AfterValidator:
    """Return a validator that rejects a text or secret for which *issue* returns a sentence."""

    def check(value: str | SecretStr) -> str | SecretStr:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if what := issue(text):
            raise invalid(what)
        return value

    return AfterValidator(check)


def matching(pattern: str, what: str) -> AfterValidator:
    """Return a validator that accepts only full matches of *pattern*; *what* describes the pattern."""
    form = re.compile(pattern)
    return checked(lambda text: "" if form.fullmatch(text) else what)


def issues_of(
    error: ValidationError, model: type[BaseModel]
) -> list[tuple[tuple[int | str, ...], ConfigIssue]]:
    """Return the issues that *error* reports about *model*, each with its path. No value is shown."""
    details = error.errors(include_url=False, include_input=False)
    places = [detail["loc"] for detail in details]
    found = []
    for detail in details:
        loc, kind = detail["loc"], detail["type"]
        # Pydantic also reports a list that is too short without its invalid items, and a default that cannot
        # be computed from an invalid value.
        follows = any(other[: len(loc)] == loc != other for other in places)
        if not follows and kind != "default_factory_not_called":
            hint = meant(model, loc) if kind == "extra_forbidden" else ""
            what = _sentence(kind, detail.get("ctx", {})) + (f"; did you mean {hint}?" if hint else "")
            found.append((loc, ConfigIssue(place(loc), what)))
    return found


def place(path: Sequence[str | int]) -> str:
    """Return a path as text: `routes[0].sign_name`. A key that is not a plain name may be a secret."""
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


ANY_NAME = "<name>"
"""Placeholder for the name of a purpose and the id of a client or key."""

_NAMED = {"purposes", "clients", "roots"}
"""Tables whose keys are chosen by the operator."""

_NEAR = 0.75


def paths(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """Yield the path of every setting of *model*, such as `("clients", "<name>", "origins")`."""
    for name, field in model.model_fields.items():
        step = (name, ANY_NAME) if name in _NAMED else (name,)
        inner = _table_in(field.annotation)
        if inner is None:
            yield step
        else:
            yield from ((*step, *rest) for rest in paths(inner))


def meant(model: type[BaseModel], place: Sequence[str | int]) -> str:
    """Return the setting most similar to the unknown one at *place*; empty if none is similar."""
    table: type[BaseModel] | None = model
    for step in place[:-1]:
        field = table.model_fields.get(str(step)) if table is not None else None
        if field is not None:
            table = _table_in(field.annotation)
    names = list(table.model_fields) if table is not None else []
    written = str(place[-1]).lower().replace("-", "_")
    return next(iter(get_close_matches(written, names, n=1, cutoff=_NEAR)), "")


def variable_meant(model: type[BaseModel], written: str, prefix: str, nesting: str) -> str:
    """Return the environment variable that *written* probably means; empty if there is none.

    *prefix* and *nesting* are those of valid variables.
    """
    bare = _joined(written.upper().removeprefix(prefix.rstrip("_")).split("_"))
    plain, suffix = (bare.removesuffix("_FILE"), "_FILE") if bare.endswith("_FILE") else (bare, "")
    candidates: dict[str, str] = {}
    for path in paths(model):
        candidates[_joined(path)] = variable = prefix + nesting.join(path).upper()
        for text, end in ((bare, ""), (plain, suffix)):
            if found := re.fullmatch(_joined(path).replace(ANY_NAME.upper(), "(.+)"), text):
                return variable.replace(ANY_NAME.upper(), found[1] if found.groups() else "") + end
    near = get_close_matches(bare, [text for text in candidates if "<" not in text], n=1, cutoff=_NEAR)
    return candidates[near[0]] if near else ""


def _joined(steps: Sequence[str]) -> str:
    return "_".join(filter(None, steps)).upper()


def _table_in(annotation: object) -> type[BaseModel] | None:
    """Return the table type in *annotation*, also in a list or mapping; None if it is a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = map(_table_in, getattr(annotation, "__args__", ()))
    return next(filter(None, found), None)
