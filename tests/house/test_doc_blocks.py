"""Code blocks that are data: they can be read, and settings in them exist."""

from __future__ import annotations

import configparser
import json
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from doc_blocks import NOT_RUN, ROOT, Block, blocks, documents, running

from otp_service.settings import Settings

ALL = [block for document in documents() for block in blocks(document)]
DATA = {"json", "toml", "ini", "http"}
PROGRAMS = {"sh", "python", "js", "html", "css", "nginx"}


def named(block: Block) -> str:
    return f"{block.document}:{block.line}"


@pytest.mark.parametrize("block", running("json"), ids=named)
def test_json_can_be_read(block: Block) -> None:
    assert isinstance(json.loads(block.text), dict | list)


def settings_in(table: Mapping[str, Any], model: Any) -> Iterator[str]:
    """Yield every name in *table* that *model* does not have."""
    for name, value in table.items():
        field = model.model_fields.get(name) or model.model_fields.get(name.removesuffix("_file"))
        if field is None:
            yield name
        elif isinstance(value, dict):
            yield from unknown_below(value, field.annotation)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for row in value:
                yield from unknown_below(row, field.annotation)


def unknown_below(value: Mapping[str, Any], annotation: Any) -> Iterator[str]:
    models = [
        kind for kind in (annotation, *getattr(annotation, "__args__", ())) if hasattr(kind, "model_fields")
    ]
    if not models:
        return
    is_by_name = "Mapping" in str(annotation) or "dict" in str(annotation)
    for table in value.values() if is_by_name else [value]:
        yield from settings_in(table, models[0])


@pytest.mark.parametrize("block", running("toml"), ids=named)
def test_toml_can_be_read_and_names_settings_that_exist(block: Block) -> None:
    table = tomllib.loads(block.text)

    assert table
    if block.document != "docs/sandbox.md" and not block.first.startswith("sign_name"):  # a line of a route
        assert list(settings_in(table, Settings)) == []


@pytest.mark.parametrize("block", running("ini"), ids=named)
def test_ini_can_be_read(block: Block) -> None:
    parser = configparser.ConfigParser(strict=True)
    parser.read_string(block.text)

    assert parser.sections()


@pytest.mark.parametrize("block", running("http"), ids=named)
def test_http_can_be_read(block: Block) -> None:
    head, _, body = block.text.partition("\n\n")
    first, *headers = head.strip().splitlines()

    assert first.startswith("HTTP/1.1 ") or first.endswith(" HTTP/1.1")
    assert all(": " in header for header in headers)
    assert not body.strip() or json.loads(body)


def test_every_block_is_data_a_program_or_a_picture() -> None:
    assert {block.language for block in ALL} <= DATA | PROGRAMS | {""}


def test_every_reason_is_of_a_block_that_exists() -> None:
    stale = [
        (document, begins)
        for document, begins in NOT_RUN
        if not any(block.document == document and block.first.startswith(begins) for block in ALL)
    ]
    assert stale == []


@pytest.mark.parametrize("why", sorted(set(NOT_RUN.values())))
def test_a_reason_that_names_a_test_names_one_that_exists(why: str) -> None:
    for word in why.split():
        if word.startswith("tests/"):
            assert (ROOT / word).exists()


def test_no_program_hides_in_a_block_without_a_language() -> None:
    """What stands there is drawn or printed: it begins with what no command begins with."""
    hidden = ("curl ", "make ", "pip ", "npm ", "import ", "from ", "otp-service ", "const ", "{")

    assert [named(block) for block in ALL if not block.language and block.first.startswith(hidden)] == []
