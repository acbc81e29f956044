"""The package imports only its dependencies; development installs many more libraries."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution, packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

IMPORT_ALL = """
import importlib, importlib.abc, pkgutil, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"{name} is not installed", name=name)

sys.meta_path.insert(0, Missing())
from gevent import monkey
monkey.patch_all()
import otp_service
for module in pkgutil.walk_packages(otp_service.__path__, "otp_service."):
    if module.name not in ("otp_service.__main__", "otp_service.gunicorn_conf"):
        importlib.import_module(module.name)
"""


def needed(name: str, extras: frozenset[str] = frozenset()) -> set[tuple[str, frozenset[str]]]:
    """Return the distributions that *name* with *extras* requires, and itself."""
    found = {(canonicalize_name(name), extras)}
    waiting = list(found)
    while waiting:
        one, chosen = waiting.pop()
        for text in distribution(one).requires or []:
            requirement = Requirement(text)
            marker = requirement.marker
            if marker and not any(marker.evaluate({"extra": extra}) for extra in (chosen or {""})):
                continue
            more = (canonicalize_name(requirement.name), frozenset(requirement.extras))
            if more not in found:
                found.add(more)
                waiting.append(more)
    return found


def test_every_module_can_be_imported_with_only_the_dependencies() -> None:
    installed = {name for name, _ in needed("otp-service")}
    missing = {
        module
        for module, distributions in packages_distributions().items()
        if not installed.intersection(map(canonicalize_name, distributions))
    }
    assert {"pytest", "playwright"} <= missing

    result = subprocess.run(
        [sys.executable, "-c", f"MISSING = {missing!r}\n{IMPORT_ALL}"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert result.returncode == 0, result.stderr[-2000:]
