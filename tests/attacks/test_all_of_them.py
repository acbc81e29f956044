"""Every attack has tests, or a reason why it has none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ALL = [f"A{number:02d}" for number in range(1, 46)]
ROW = re.compile(r"^\| (A\d\d) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
ROWS = {attack: where for attack, _, where in ROW.findall((HERE / "README.md").read_text())}


def files_with_tests_of(attack: str) -> set[str]:
    """Return the files that have a test named after *attack*."""
    name = re.compile(rf"^\s*def test_{attack.lower()}_\w+\(", re.MULTILINE)
    return {path.name for path in HERE.glob("test_*.py") if name.search(path.read_text())}


def test_every_attack_has_its_row() -> None:
    assert sorted(ROWS) == ALL


@pytest.mark.parametrize("attack", ALL)
def test_attack_has_tests_in_the_file_that_its_row_names_or_a_reason(attack: str) -> None:
    where = ROWS[attack]
    named = set(re.findall(r"`(test_\w+\.py)`", where))

    assert files_with_tests_of(attack) == named
    assert named or len(where.removeprefix("not here: ")) > 80


def test_no_test_is_named_after_an_unknown_attack() -> None:
    named = {
        found
        for path in HERE.glob("test_*.py")
        for found in re.findall(r"def test_(a\d\d)_", path.read_text())
    }

    assert {found.upper() for found in named} <= set(ALL)
