"""Code blocks with data can be parsed, and settings in them exist."""

from __future__ import annotations

import configparser
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.doc_blocks import NOT_RUN, ROOT, RUN_BY, Block, blocks, blocks_to_run, documents

from otp_service.settings import Settings

ALL = [block for document in documents() for block in blocks(document)]
DATA = {"json", "toml", "ini", "http"}
PROGRAMS = {"sh", "python", "js", "html", "css", "redis", "console", "headers"}
PROGRAMS |= {"nginx", "haproxy", "caddyfile", "yaml"}
ELSEWHERE = {"jsx", "vue", "go", "java", "php"}


def named(block: Block) -> str:
    return f"{block.document}:{block.line}"


@pytest.mark.parametrize("block", blocks_to_run("json"), ids=named)
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


@pytest.mark.parametrize("block", blocks_to_run("toml"), ids=named)
def test_toml_can_be_parsed_and_its_settings_exist(block: Block) -> None:
    table = tomllib.loads(block.text)

    assert table
    if block.document != "docs/sandbox.md" and not block.first_line.startswith(
        "sign_name"
    ):  # a line of a route
        assert list(settings_in(table, Settings)) == []


@pytest.mark.parametrize("block", blocks_to_run("ini"), ids=named)
def test_ini_can_be_read(block: Block) -> None:
    parser = configparser.ConfigParser(strict=True)
    parser.read_string(block.text)

    assert parser.sections()


@pytest.mark.parametrize("block", blocks_to_run("http"), ids=named)
def test_http_can_be_read(block: Block) -> None:
    head, _, body = block.text.partition("\n\n")
    first, *headers = head.strip().splitlines()

    assert first.startswith("HTTP/1.1 ") or first.endswith(" HTTP/1.1")
    assert all(": " in header for header in headers)
    assert not body.strip() or json.loads(body)


def test_every_block_is_data_a_program_or_a_diagram() -> None:
    """Every block has a language, so that a test checks it."""
    assert {block.language for block in ALL} <= DATA | PROGRAMS | ELSEWHERE | {"text", "mermaid"}
    assert blocks_to_run(*ELSEWHERE) == [], "tests/docs runs none of these languages"


@pytest.mark.parametrize("block", blocks_to_run("text"), ids=named)
def test_text_is_a_diagram_a_tree_or_a_formula(block: Block) -> None:
    assert (
        set("│├└─") & set(block.text)
        or block.first_line == "otp_service/"
        or block.first_line.startswith("bytes = ")
    )


@pytest.mark.parametrize(("document", "begins"), RUN_BY | NOT_RUN)
def test_exception_matches_one_block(document: str, begins: str) -> None:
    assert (
        len([block for block in ALL if block.document == document and block.first_line.startswith(begins)])
        == 1
    )


@pytest.mark.parametrize("test", sorted(set(RUN_BY.values())))
def test_test_that_runs_a_block_exists_and_reads_the_docs(test: str) -> None:
    path, _, name = test.partition("::")
    text = (ROOT / path).read_text("utf-8")
    documents_of_it = {Path(document).name for (document, _), by in RUN_BY.items() if by == test}

    assert f"def {name}(" in text
    assert all(document in text or "documents()" in text for document in documents_of_it)


def test_blocks_that_cannot_be_run_are_listed() -> None:
    """New blocks are run unless they are listed here."""
    assert sorted(NOT_RUN) == [
        ("docs/deployment.md", "docker build"),
        ("docs/deployment.md", "docker compose -f deploy/compose.yaml build"),
        ("docs/deployment.md", "docker compose -f deploy/compose.yaml up"),
        ("docs/deployment.md", "helm install"),
        ("docs/deployment.md", "kubectl"),
        ("docs/operations.md", "# The entry point in Traefik's"),
        ("docs/risk-challenge.md", '<script type="module">'),
    ]
    packages = json.loads((ROOT / "tests" / "sdks" / "package.json").read_text())["dependencies"]
    assert "altcha" not in packages, "its widget can be tried"


def test_output_block_is_a_command_and_its_output() -> None:
    """`tests/docs/test_outputs.py` runs each of them, with a prepared state for each command."""
    assert [
        named(block)
        for block in blocks_to_run("console")
        if not block.first_line.startswith("$ otp-service ")
    ] == []
