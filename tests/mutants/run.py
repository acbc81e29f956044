"""Apply the mutants one by one to a copy of the project and tell which the tests have killed.

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
LEFT_OUT = shutil.ignore_patterns(".git", "node_modules", ".venv", "__pycache__", ".*_cache", "*.egg-info")
SECONDS = 900
"""No killer takes that long; a mutant that makes one hang is noticed, too."""


@contextmanager
def applied(mutant: Mutant, copy: Path) -> Iterator[None]:
    """Change the copy for as long as the block runs."""
    file = copy / mutant.file
    sound = file.read_text(encoding="utf-8")
    if sound.count(mutant.old) < 1:
        raise SystemExit(f"{mutant.requirement} {mutant.what}: {mutant.file} no longer has what it changes")
    file.write_text(sound.replace(mutant.old, mutant.new, 1), encoding="utf-8")
    try:
        yield
    finally:
        file.write_text(sound, encoding="utf-8")


def survives(mutant: Mutant, copy: Path) -> bool:
    """Tell whether everything that should see the change is content with it."""
    with applied(mutant, copy):
        return all(passes(killer, copy) for killer in mutant.killers)


def passes(killer: str, copy: Path) -> bool:
    """Run one killer on the copy as it is."""
    command = (
        ["-m", "ruff", "check", "-q", "otp_service"]
        if killer == "ruff"
        else ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *killer.split()]
    )
    # Whatever a test starts must find the copy, not what is installed.
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=copy,
            env=environment,
            capture_output=True,
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def unfit(mutants: Iterable[Mutant], copy: Path) -> list[str]:
    """Return the killers that fail on sound sources: a death by them would prove nothing."""
    killers = dict.fromkeys(killer for mutant in mutants for killer in mutant.killers)
    return [killer for killer in killers if not passes(killer, copy)]


def main(wanted: list[str]) -> int:
    """Try the *wanted* requirements, or all; return how much is wrong."""
    chosen = [mutant for mutant in MUTANTS if not wanted or mutant.requirement in wanted]
    survived = 0
    with tempfile.TemporaryDirectory(prefix="otp-mutants-") as directory:
        copy = Path(directory) / "copy"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        failing = unfit(chosen, copy)
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
