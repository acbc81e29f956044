"""A script gets of its parts what it uses, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from otp_service.store import scripts

LUA = Path(scripts.__file__).parent / "lua"
SCRIPTS = sorted(path.stem for path in LUA.glob("*.lua") if path.read_text().startswith("#!lua"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_defines_nothing_that_it_does_not_use(name: str) -> None:
    source = scripts.script(name).source

    for defined in re.findall(r"^local function (\w+)", source, re.MULTILINE):
        assert len(re.findall(rf"\b{defined}\b", source)) > 1, defined


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_has_all_that_it_uses_of_its_parts(name: str) -> None:
    source = scripts.script(name).source
    _, needs, body = (LUA / f"{name}.lua").read_text().split("\n", 2)
    parts = [(LUA / f"{part}.lua").read_text() for part in needs.removeprefix("-- needs: ").split()]

    for defined in re.findall(r"^local function (\w+)", "".join(parts), re.MULTILINE):
        called = rf"\b{defined}\("
        uses = len(re.findall(called, source))
        assert uses == 0 or f"local function {defined}(" in source
        assert uses or not re.search(called, re.sub(r"--.*", "", body))


def test_script_without_shebang_is_the_same_but_for_it() -> None:
    first, _, rest = scripts.script("peek").source.partition("\n")

    assert first == "#!lua flags=no-writes"
    assert scripts.script("peek", shebang=False).source == rest
