"""Scripts are assembled from their includes; the polyfill of `struct` behaves like Redis."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.redis_servers import Server

from otp_service.store import scripts

LUA = Path(scripts.__file__).parent / "lua"
STRUCT = (LUA / "struct_polyfill.lua").read_text()
SCRIPTS = sorted(path.stem for path in LUA.glob("*.lua") if path.read_text().startswith("#!lua"))


LANGUAGE = {"function", "if", "and", "or", "not", "while", "return", "ipairs", "tonumber"}
COMMENT_OR_TEXT = re.compile(r"--.*|'(?:\\.|[^'\\])*'")


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_includes_every_function_that_it_calls(name: str) -> None:
    source = COMMENT_OR_TEXT.sub("", scripts.script(name).source)
    defined = set(re.findall(r"\bfunction (\w+)", source))
    defined |= {
        name
        for names in re.findall(r"^local ([\w, ]+) =", source, re.MULTILINE)
        for name in names.split(", ")
    }

    assert set(re.findall(r"(?<![\w.:])(\w+)\(", source)) - LANGUAGE <= defined


def test_script_without_shebang_is_the_same_but_for_it() -> None:
    first, _, rest = scripts.script("precheck").source.partition("\n")

    assert first == "#!lua flags=no-writes"
    assert scripts.script("precheck", shebang=False).source == STRUCT + rest


@pytest.mark.parametrize(
    ("pattern", "values"),
    [
        (">BBI4I4I6BBB", [1, 255, 2**32 - 1, 0, 2**48 - 1, 3, 4, 5]),
        (">Bc1c1BI6I3Bc0Bc0B", [1, "p", "d", 5, 1795600136445, 300000, 4, "shop", 0, "", 2]),
        (">c7I6B", ["AAAAAAA", 1795600136445, 5]),
        ("Bc0", [3, "\u00001a"]),
    ],
)
def test_struct_polyfill_packs_and_unpacks_like_redis(
    redis_server: Server, pattern: str, values: list[object]
) -> None:
    """Both directions: each reads what the other has packed."""
    both = f"local real = struct\n{STRUCT}"
    packed = f"struct.pack('{pattern}', unpack(ARGV))"
    with redis_server.client() as client:
        same = client.eval(f"{both}return {packed} == real.{packed[7:]} and 1 or 0", 0, *values)
        values_read = client.eval(f"{both}return {{struct.unpack('{pattern}', {packed})}}", 0, *values)
        real = client.eval(f"{both}return {{real.unpack('{pattern}', {packed})}}", 0, *values)

    assert same == 1
    assert values_read == real
    assert len(values_read) > 1
