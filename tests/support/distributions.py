"""Distributions built as for a release, and installed into environments of their own without a network."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterable
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.redis_servers import skip_or_fail


def run(*command: object, cwd: Path | None = None, code: int = 0) -> str:
    """Run a command that must end with *code*, and return what it prints: if it fails, the errors too."""
    words = [str(part) for part in command]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + (done.stderr if code else "")


def build(sources: Path, directory: Path) -> tuple[Path, Path]:
    """Build a wheel and a source distribution in *directory*, and return both."""
    for requirement in tomllib.loads((sources / "pyproject.toml").read_text("utf-8"))["build-system"][
        "requires"
    ]:
        if find_spec(Requirement(requirement).name.replace("-", "_")) is None:
            skip_or_fail(f"{requirement} is not installed")
    run(sys.executable, "-m", "hatchling", "build", "-d", directory, cwd=sources)
    (wheel,), (sdist,) = (list(directory.glob(pattern)) for pattern in ("*.whl", "*.tar.gz"))
    return wheel, sdist


def needed(*requirements: str) -> set[str]:
    """Return the installed distributions that *requirements* need, themselves included."""
    found = set[tuple[str, frozenset[str]]]()
    waiting = list(map(Requirement, requirements))
    while waiting:
        one = waiting.pop()
        key = (canonicalize_name(one.name), frozenset(one.extras))
        if key in found:
            continue
        found.add(key)
        waiting += requirements_of(one)
    return {name for name, _ in found}


def requirements_of(one: Requirement) -> Iterable[Requirement]:
    """Yield what an installed distribution requires here, with the extras of *one*."""
    for requirement in map(Requirement, distribution(one.name).requires or []):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (one.extras or {""})):
            yield requirement


def environment(directory: Path, names: Iterable[str]) -> Path:
    """Create a virtual environment with copies of distributions installed here, and return its Python."""
    venv.create(directory, symlinks=True)
    (site_packages,) = (directory / "lib").glob("*/site-packages")
    for name in names:
        _copy(name, site_packages)
    return directory / "bin" / "python"


def _copy(name: str, site_packages: Path) -> None:
    one = distribution(name)
    for path in one.files or []:
        if ".." in path.parts or "__pycache__" in path.parts:
            continue
        target = site_packages / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(str(one.locate_file(path))).read_bytes())


def install(what: Path, python: Path) -> None:
    """Install a wheel, whose requirements must be there already, as `pip check` then confirms."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", what)
    assert "No broken requirements" in run(*pip, "check")
