"""Apply the mutants one by one to a copy of the project and report which ones the tests detect.

python tests/mutants/run.py [R05 …]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from table import MUTANTS, WITHOUT, Mutant

ROOT = Path(__file__).parents[2]
IGNORED_FILES = shutil.ignore_patterns(
    ".git", "node_modules", ".venv*", "__pycache__", ".*_cache", "*.egg-info"
)
SECONDS = 900
"""Longer than any killer takes. A mutant that makes a killer hang counts as killed."""


@contextmanager
def applied(mutant: Mutant, copy: Path) -> Iterator[None]:
    """Apply the mutant to the copy while the block runs."""
    file = copy / mutant.file
    original = file.read_text(encoding="utf-8")
    if mutant.old not in original:
        raise SystemExit(f"{mutant.requirement} {mutant.what}: {mutant.file} no longer contains the old text")
    file.write_text(original.replace(mutant.old, mutant.new, 1), encoding="utf-8")
    try:
        yield
    finally:
        file.write_text(original, encoding="utf-8")


def survives(mutant: Mutant, copy: Path) -> bool:
    """Return whether all killers pass although the mutant is applied."""
    with applied(mutant, copy):
        return all(passes(killer, copy) for killer in mutant.killers)


def passes(killer: str, copy: Path) -> bool:
    """Run one killer on the copy and return whether it passes."""
    command = (
        ["-m", "ruff", "check", "-q", "otp_service"]
        if killer == "ruff"
        else ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *killer.split()]
    )
    # Processes that a test starts must import the copy, not the installed package.
    environment = {
        **os.environ,
        "PYTHONPATH": f"{copy}:{copy}/clients/python",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        result = subprocess.run(
            [sys.executable, *command],
            cwd=copy,
            env=environment,
            capture_output=True,
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return False
    return result.returncode == 0


def failing_without_mutant(mutants: Iterable[Mutant], copy: Path) -> list[str]:
    """Return the killers that fail on the unchanged sources, and so cannot detect a mutant."""
    killers = dict.fromkeys(killer for mutant in mutants for killer in mutant.killers)
    return [killer for killer in killers if not passes(killer, copy)]


def main(wanted: list[str]) -> int:
    """Apply the mutants of the *wanted* requirements, or all; return the number of problems."""
    chosen = [mutant for mutant in MUTANTS if not wanted or mutant.requirement in wanted]
    survived = 0
    with tempfile.TemporaryDirectory(prefix="otp-mutants-") as directory:
        copy = Path(directory) / "copy"
        shutil.copytree(ROOT, copy, ignore=IGNORED_FILES)
        failing = failing_without_mutant(chosen, copy)
        for killer in failing:
            print(f"fails without any mutant: {killer}", flush=True)
        for mutant in chosen:
            alive = survives(mutant, copy)
            survived += alive
            verdict = "SURVIVED" if alive else "killed"
            print(f"{mutant.requirement}  {verdict:8}  {mutant.what}", flush=True)
    for requirement, reason in WITHOUT.items():
        if not wanted or requirement in wanted:
            print(f"{requirement}  none      {reason}")
    print(f"{len(chosen) - survived} of {len(chosen)} killed, {survived} survived")
    return survived + len(failing)


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
