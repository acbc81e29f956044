"""Each fault has its row in docs/operations.md, and its tests in the file that the row names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs" / "operations.md"
ALL = [f"F{number:02d}" for number in range(1, 36)]
ROW = re.compile(r"^\| (F\d\d) \|.*\| ([^|]+) \|$", re.MULTILINE)
ROWS = dict(ROW.findall(DOCS.read_text(encoding="utf-8")))
NAMES = re.compile(r"^def test_((?:f\d\d_)+)", re.MULTILINE)


def files_with_tests_of(fault: str) -> set[str]:
    """Return the files that have a test named after *fault*."""
    return {
        path.name
        for path in TESTS.rglob("test_*.py")
        if any(fault.lower() in names.split("_") for names in NAMES.findall(path.read_text(encoding="utf-8")))
    }


def test_every_fault_has_its_row() -> None:
    assert sorted(ROWS) == ALL


@pytest.mark.parametrize("fault", ALL)
def test_fault_has_tests_in_the_file_that_its_row_names(fault: str) -> None:
    named = set(re.findall(r"`(test_\w+\.py)`", ROWS[fault]))

    assert named
    assert files_with_tests_of(fault) == named
