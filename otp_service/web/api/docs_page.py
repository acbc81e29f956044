"""The docs page: the OpenAPI document, drawn for people. Touches its template.

One self-contained page without a script: it works offline, and its policy allows nothing but its own style,
which it names by digest.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

Json = dict[str, Any]

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Page:
    """A page and the Content-Security-Policy it needs."""

    html: str
    policy: str


@dataclass(frozen=True, slots=True)
class Field:
    """One row of a table of fields."""

    name: str
    kind: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Response:
    """One status of an operation, with an example of each body it may have."""

    status: str
    description: str
    fields: list[Field]
    examples: dict[str, str]


@dataclass(frozen=True, slots=True)
class Operation:
    """One section of the page."""

    method: str
    path: str
    id: str
    summary: str
    description: str
    keys: list[str]
    fields: list[Field]
    example: str
    responses: list[Response]


def render(document: Json) -> Page:
    """Return the page of an OpenAPI *document*."""
    style = (_TEMPLATES / "docs.css").read_text("utf-8")
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = prose
    reader = _Reader(document)
    html = environment.get_template("docs.html").render(
        info=document["info"],
        operations=list(reader.operations()),
        problems=reader.problems(),
        style=Markup(style),  # noqa: S704 - our own file
    )
    return Page(html, _policy(style))


def prose(text: str) -> Markup:
    """Return *text* as HTML: blank lines part paragraphs, dashes begin list items, backticks mean code."""
    return Markup("").join(_paragraph(part) for part in text.split("\n\n") if part)


def _paragraph(text: str) -> Markup:
    lines = text.split("\n")
    if all(line.startswith("- ") for line in lines):
        items = Markup("").join(Markup("<li>{}</li>").format(_inline(line[2:])) for line in lines)
        return Markup("<ul>{}</ul>").format(items)
    return Markup("<p>{}</p>").format(_inline(text))


def _inline(text: str) -> Markup:
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    return Markup(marked)  # noqa: S704 - escaped just above


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class _Reader:
    """Reads an OpenAPI document into rows and sections."""

    def __init__(self, document: Json) -> None:
        self._document = document

    def operations(self) -> Iterator[Operation]:
        for path, methods in self._document["paths"].items():
            for method, operation in methods.items():
                yield self._operation(method, path, operation)

    def problems(self) -> list[Json]:
        """Return status, code and title of every problem there is, by status."""
        schemas = [s for s in self._document["components"]["schemas"].values() if "allOf" in s]
        rows = [
            {
                "status": schema["properties"]["status"]["const"],
                "code": schema["properties"]["code"]["const"],
                "title": schema["description"],
            }
            for schema in schemas
        ]
        return sorted(rows, key=lambda row: (row["status"], row["code"]))

    def _operation(self, method: str, path: str, operation: Json) -> Operation:
        body = _media(operation.get("requestBody", {}))
        return Operation(
            method=method.upper(),
            path=path,
            id=operation["operationId"],
            summary=operation["summary"],
            description=operation.get("description", ""),
            keys=[scheme for scheme_set in operation["security"] for scheme in scheme_set],
            fields=self._fields(body.get("schema", {})),
            example=_pretty(body["example"]) if "example" in body else "",
            responses=[self._response(*item) for item in operation["responses"].items()],
        )

    def _response(self, status: str, response: Json) -> Response:
        media = _media(response)
        examples = {code: _pretty(example["value"]) for code, example in media.get("examples", {}).items()}
        if "example" in media:
            examples[""] = _pretty(media["example"])
        fields = [] if "examples" in media else self._fields(media.get("schema", {}))
        return Response(status, response["description"], fields, examples)

    def _fields(self, schema: Json) -> list[Field]:
        whole = self._resolved(schema)
        required = whole.get("required", [])
        return [
            Field(name, self._kind(field), name in required, self._described(field))
            for name, field in whole.get("properties", {}).items()
        ]

    def _described(self, field: Json) -> str:
        return str(field.get("description") or self._resolved(field).get("description", ""))

    def _kind(self, schema: Json) -> str:
        whole = self._resolved(schema)
        if "anyOf" in whole:
            return " or ".join(self._kind(choice) for choice in whole["anyOf"])
        if "enum" in whole:
            return " | ".join(f'"{value}"' for value in whole["enum"])
        if "const" in whole:
            return f'"{whole["const"]}"'
        if whole.get("type") == "array":
            return f"list of {self._kind(whole['items'])}"
        return str(whole.get("format") or whole.get("type", "any"))

    def _resolved(self, schema: Json) -> Json:
        """Follow a reference inside the document."""
        target = schema.get("$ref")
        if target is None:
            return schema
        found: Json = self._document["components"]["schemas"][target.rpartition("/")[2]]
        return found


def _media(holder: Json) -> Json:
    return next(iter(holder.get("content", {}).values()), {})


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
