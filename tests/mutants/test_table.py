"""The table of mutants matches the sources; `make mutants` applies them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mutants.table import MUTANTS, WITHOUT, Mutant

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.requirement} {mutant.what}")
def test_old_text_and_killers_of_a_mutant_exist(mutant: Mutant) -> None:
    assert mutant.old in (ROOT / mutant.file).read_text(encoding="utf-8")
    assert mutant.old != mutant.new
    assert all(killer == "ruff" or (ROOT / killer.split()[0]).exists() for killer in mutant.killers)


@pytest.mark.parametrize("killer", sorted({k for mutant in MUTANTS for k in mutant.killers if " -k " in k}))
def test_expression_of_a_killer_selects_a_test(killer: str) -> None:
    """Pytest compares the words of `-k` with the names of tests and of their parameters, in lower case."""
    path, _, expression = killer.partition(" -k ")
    words = set(re.findall(r"\w+", expression)) - {"and", "or", "not"}

    assert [
        word for word in words if word.lower() not in (ROOT / path).read_text(encoding="utf-8").lower()
    ] == []


def test_every_requirement_has_a_mutant_or_a_reason() -> None:
    """Requirements are R01 to R54. A mutant of a single attack has the attack's number, such as A36.

    A36 to A41 go beyond the requirements, so each of them must have a mutant too.
    """
    tried = {mutant.requirement for mutant in MUTANTS}
    requirements = {name for name in tried if name.startswith("R")}

    assert requirements | set(WITHOUT) == {f"R{number:02}" for number in range(1, 55)}
    assert requirements & set(WITHOUT) == set()
    assert all(re.fullmatch(r"A\d\d", name) for name in tried - requirements)
    assert tried >= {f"A{number}" for number in range(36, 42)}
