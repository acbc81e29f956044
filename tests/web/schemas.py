"""A JSON Schema validator for the keywords that the OpenAPI document uses.

An unknown keyword is an error, so that nothing is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

Json = dict[str, Any]

ANNOTATIONS = {"description", "title", "examples", "default"}
TYPES: dict[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


class Checker:
    """Validates values against the schemas of one document."""

    def __init__(self, document: Json) -> None:
        self._document = document

    def resolve(self, reference: str) -> Any:
        found: Any = self._document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        return found

    def errors(self, schema: Json, value: Any, where: str = "") -> list[str]:
        """Return the errors of *value*; empty if it is valid."""
        return [error for rule in schema for error in self._errors(rule, schema, value, where)]

    def _errors(self, rule: str, schema: Json, value: Any, where: str) -> Iterator[str]:
        if rule in ANNOTATIONS or (rule == "items" and not isinstance(value, list)):
            return
        if rule in ("properties", "required", "additionalProperties") and not isinstance(value, dict):
            return
        if rule in ("maxLength", "minLength", "pattern", "format") and not isinstance(value, str):
            return
        if rule == "minimum" and not TYPES["integer"](value):
            return
        yield from getattr(self, f"_{rule.replace('$', '')}")(schema[rule], schema, value, where)

    def _ref(self, rule: str, _: Json, value: Any, where: str) -> list[str]:
        return self.errors(self.resolve(rule), value, where)

    def _type(self, rule: str, _: Json, value: Any, where: str) -> Iterator[str]:
        if not TYPES[rule](value):
            yield f"{where} is no {rule}"

    def _properties(self, rule: Json, _: Json, value: Json, where: str) -> Iterator[str]:
        for name in rule.keys() & value.keys():
            yield from self.errors(rule[name], value[name], f"{where}/{name}")

    def _required(self, rule: list[str], _: Json, value: Json, where: str) -> Iterator[str]:
        yield from (f"{where}/{name} is missing" for name in rule if name not in value)

    def _additionalProperties(self, rule: Any, schema: Json, value: Json, where: str) -> Iterator[str]:  # noqa: N802
        if rule is not True:
            yield from (f"{where}/{name} is unknown" for name in value.keys() - schema["properties"].keys())

    def _items(self, rule: Json, _: Json, value: list[Any], where: str) -> Iterator[str]:
        for number, item in enumerate(value):
            yield from self.errors(rule, item, f"{where}/{number}")

    def _anyOf(self, rule: list[Json], _: Json, value: Any, where: str) -> Iterator[str]:  # noqa: N802
        if all(self.errors(choice, value) for choice in rule):
            yield f"{where} is none of {len(rule)}"

    def _oneOf(self, rule: list[Json], _: Json, value: Any, where: str) -> Iterator[str]:  # noqa: N802
        matches = sum(not self.errors(choice, value) for choice in rule)
        if matches != 1:
            yield f"{where} is {matches} of {len(rule)}"

    def _allOf(self, rule: list[Json], _: Json, value: Any, where: str) -> Iterator[str]:  # noqa: N802
        for part in rule:
            yield from self.errors(part, value, where)

    def _not(self, rule: Json, _: Json, value: Any, where: str) -> Iterator[str]:
        if not self.errors(rule, value):
            yield f"{where} is what it must not be"

    def _enum(self, rule: list[Any], _: Json, value: Any, where: str) -> Iterator[str]:
        if value not in rule:
            yield f"{where} is not in {rule}"

    def _const(self, rule: Any, _: Json, value: Any, where: str) -> Iterator[str]:
        if value != rule or type(value) is not type(rule):
            yield f"{where} is not {rule}"

    def _minimum(self, rule: int, _: Json, value: int, where: str) -> Iterator[str]:
        if value < rule:
            yield f"{where} is below {rule}"

    def _maxLength(self, rule: int, _: Json, value: str, where: str) -> Iterator[str]:  # noqa: N802
        if len(value) > rule:
            yield f"{where} is too long"

    def _minLength(self, rule: int, _: Json, value: str, where: str) -> Iterator[str]:  # noqa: N802
        if len(value) < rule:
            yield f"{where} is too short"

    def _pattern(self, rule: str, _: Json, value: str, where: str) -> Iterator[str]:
        if not re.search(re.sub(r"\$$", r"\\Z", rule), value):  # `$` also matches before a final newline
            yield f"{where} does not match"

    def _format(self, rule: str, _: Json, value: str, where: str) -> Iterator[str]:
        assert rule == "date-time"
        if datetime.fromisoformat(value).tzinfo is None:
            yield f"{where} has no time zone"
