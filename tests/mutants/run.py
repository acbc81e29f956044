"""Apply the mutants one by one to a copy of the project and tell which the tests have killed.

python tests/mutants/run.py [R05 …]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from table import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", "node_modules", ".venv", "__pycache__", ".*_cache", "*.egg-info")


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
        return all(run(killer, mutant, copy) for killer in mutant.killers)


def run(killer: str, mutant: Mutant, copy: Path) -> bool:
    """Run one killer; tell whether it passed."""
    command = (
        ["-m", "ruff", "check", "-q", mutant.file]
        if killer == "ruff"
        else ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", killer]
    )
    done = subprocess.run([sys.executable, *command], cwd=copy, capture_output=True, check=False, timeout=300)
    return done.returncode == 0


def main(wanted: list[str]) -> int:
    """Try the *wanted* requirements, or all; return how many mutants have survived."""
    chosen = [mutant for mutant in MUTANTS if not wanted or mutant.requirement in wanted]
    survived = 0
    with tempfile.TemporaryDirectory(prefix="otp-mutants-") as directory:
        copy = Path(directory) / "copy"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        for mutant in chosen:
            alive = survives(mutant, copy)
            survived += alive
            verdict = "SURVIVED" if alive else "killed"
            print(f"{mutant.requirement}  {verdict:8}  {mutant.what}", flush=True)
    print(f"{len(chosen) - survived} of {len(chosen)} killed")
    return survived


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
