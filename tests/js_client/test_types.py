"""clients/js/index.d.ts: tsc accepts and rejects what it should, and all exports have types."""

from __future__ import annotations

import re
import subprocess

import pytest
from support.nodejs import ROOT, make_calls, node, package

TYPES = (ROOT / "clients" / "js" / "index.d.ts").read_text()


@pytest.mark.sdk
def test_types_hold_in_a_strict_program() -> None:
    """usage.ts compiles, and has an error at each `@ts-expect-error`."""
    package("typescript")
    result = subprocess.run(
        [node(), str(package("typescript") / "bin" / "tsc"), "--project", str(ROOT / "tests" / "js_client")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (result.returncode, result.stdout) == (0, "")


def test_types_name_every_export() -> None:
    assert sorted(re.findall(r"^export class (\w+)", TYPES, re.MULTILINE)) == sorted(
        make_calls("http://127.0.0.1")["names"]
    )
