"""Spelling: which settings there are, and which of them somebody may have meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from pydantic import BaseModel

ANY_NAME = "<name>"
"""Stands for the name of a purpose, the id of a client or of a key."""

_NAMED = {"purposes", "clients", "roots"}
"""Tables whose keys the operator chooses."""

_NEAR = 0.75


def paths(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """List every setting of *model*, like `("clients", "<name>", "origins")`."""
    for name, field in model.model_fields.items():
        step = (name, ANY_NAME) if name in _NAMED else (name,)
        inner = _table_in(field.annotation)
        if inner is None:
            yield step
        else:
            yield from ((*step, *rest) for rest in paths(inner))


def meant(model: type[BaseModel], place: Sequence[str | int]) -> str:
    """Return the setting that somebody may have meant who wrote the unknown one at *place*; perhaps none."""
    table: type[BaseModel] | None = model
    for step in place[:-1]:
        field = table.model_fields.get(str(step)) if table is not None else None
        if field is not None:
            table = _table_in(field.annotation)
    names = list(table.model_fields) if table is not None else []
    written = str(place[-1]).lower().replace("-", "_")
    return next(iter(get_close_matches(written, names, n=1, cutoff=_NEAR)), "")


def variable_meant(model: type[BaseModel], written: str, prefix: str, nesting: str) -> str:
    """Return the environment variable that somebody may have meant by *written*; perhaps none.

    *prefix* and *nesting* are those of the right ones.
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
    """Return the table that a setting of this type holds, in a list or by name; None if it holds a value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = map(_table_in, getattr(annotation, "__args__", ()))
    return next(filter(None, found), None)
