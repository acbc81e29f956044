"""CHANGELOG.md mentions each change once."""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import combinations

from support.package_sources import ROOT


def test_no_two_lines_are_nearly_equal() -> None:
    """If two lines describe the same change, one of them is outdated."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    alike = [
        (one, other)
        for one, other in combinations(lines, 2)
        if (match := SequenceMatcher(None, one, other)).real_quick_ratio() > 0.8
        and match.quick_ratio() > 0.8
        and match.ratio() > 0.8
    ]
    assert alike == []
