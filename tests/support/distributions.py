"""Builds distributions as for a release, and installs them into virtual environments without a network."""

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
    """Run a command that must exit with *code*; return its output, and also its errors if *code* is not 0."""
    words = [str(part) for part in command]
    result = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout + (result.stderr if code else "")


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


def with_dependencies(*requirements: str) -> set[str]:
    """Return the names of *requirements* and of all installed distributions that they need."""
    found = set[tuple[str, frozenset[str]]]()
    waiting = list(map(Requirement, requirements))
    while waiting:
        requirement = waiting.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in found:
            continue
        found.add(key)
        waiting += requirements_of(requirement)
    return {name for name, _ in found}


def requirements_of(requirement: Requirement) -> Iterable[Requirement]:
    """Yield what the required distribution itself requires on this platform, with the requested extras."""
    for needed in map(Requirement, distribution(requirement.name).requires or []):
        marker = needed.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (requirement.extras or {""})):
            yield needed


def environment(directory: Path, names: Iterable[str]) -> Path:
    """Create a virtual environment with copies of the installed distributions *names*; return its Python."""
    venv.create(directory, symlinks=True)
    (site_packages,) = (directory / "lib").glob("*/site-packages")
    for name in names:
        _copy(name, site_packages)
    return directory / "bin" / "python"


def _copy(name: str, site_packages: Path) -> None:
    installed = distribution(name)
    for path in installed.files or []:
        if ".." in path.parts or "__pycache__" in path.parts:
            continue
        target = site_packages / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(str(installed.locate_file(path))).read_bytes())


def install(wheel: Path, python: Path) -> None:
    """Install *wheel*, whose requirements must be installed already; `pip check` confirms that."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel)
    assert "No broken requirements" in run(*pip, "check")
