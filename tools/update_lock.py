"""Write constraints/: the versions and hashes of everything that is installed from a package registry.

All files are resolved together, so that a package has the same version in each of them. They hold for every
version of Python and every platform that the project supports, by markers. `make update-lock` runs this.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DIRECTORY = ROOT / "constraints"
SERVER, CLIENT = ROOT / "pyproject.toml", ROOT / "clients" / "python" / "pyproject.toml"
OLDEST_PYTHON = "3.11"


@dataclass(frozen=True)
class Lock:
    """What a file of constraints/ covers, apart from its own name."""

    extras: Sequence[str] = ()
    """Extras of `otp-service`."""
    server: bool = True
    """Whether the service is covered."""
    client: Sequence[str] | None = None
    """Extras of `otp-service-client`; `None`: the client is not covered."""
    build: bool = False
    """Whether the build requirements are covered."""


LOCKS = {
    "server": Lock(),
    "build": Lock(server=False, build=True),
    "embedded": Lock(extras=("embedded",), client=(), build=True),
    "dev": Lock(extras=("dev",), client=("async",), build=True),
    "deploy": Lock(extras=("deploy",), client=("async",), build=True),
    "release": Lock(extras=("release",)),
}


def requirements(lock: Lock) -> list[str]:
    """Return the requirements that *lock* covers, as pyproject.toml writes them."""
    server, client = (tomllib.loads(path.read_text("utf-8")) for path in (SERVER, CLIENT))
    found = _with_extras(server, lock.extras) if lock.server else []
    found += [] if lock.client is None else _with_extras(client, lock.client)
    if lock.build:
        found += [*server["build-system"]["requires"], *client["build-system"]["requires"], "editables"]
    return list(dict.fromkeys(found))


def _with_extras(pyproject: dict[str, Any], extras: Sequence[str]) -> list[str]:
    """Return the requirements of a project. An extra may name others: `otp-service[embedded]`."""
    project = pyproject["project"]
    found = list(project["dependencies"])
    for extra in extras:
        for requirement in project["optional-dependencies"][extra]:
            own = re.fullmatch(rf"{project['name']}\[([\w,-]+)\]", requirement)
            found += _with_extras(pyproject, own[1].split(",")) if own else [requirement]
    return found


def resolve(wanted: Sequence[str], output: Path, *options: str, constraint: Path | None = None) -> None:
    """Write the versions for *wanted* to *output*, those of *constraint* if it has them."""
    together = ["--constraint", str(constraint)] if constraint else []
    subprocess.run(  # noqa: S603 - the program of the environment that this runs in
        [
            *(str(Path(sys.executable).with_name("uv")), "pip", "compile", "-", "--quiet"),
            *("--universal", "--python-version", OLDEST_PYTHON, "--output-file", str(output)),
            *("--no-emit-index-url", "--no-emit-find-links", *together, *options),
        ],
        input="\n".join(wanted),
        text=True,
        check=True,
        cwd=ROOT,
    )


def main(arguments: Sequence[str]) -> None:
    """Resolve everything once, then write each file with the versions found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--add", action="store_true", help="keep the versions of today; add what is missing")
    parser.add_argument("--package", action="append", default=[], metavar="NAME", help="update only this one")
    given = parser.parse_args(arguments)
    keeps = given.add or given.package
    with tempfile.TemporaryDirectory() as directory:
        everything = Path(directory, "all.txt")
        if keeps:
            texts = [path.read_text("utf-8") for path in sorted(DIRECTORY.glob("*.txt"))]
            lines = [line for text in texts for line in re.findall(r"^[\w.-]+==[^\\\n]*", text, re.MULTILINE)]
            everything.write_text("\n".join(dict.fromkeys(line.strip() for line in lines)), "utf-8")
        chosen = [f"--upgrade-package={name}" for name in given.package] if keeps else ["--upgrade"]
        wanted = [one for lock in LOCKS.values() for one in requirements(lock)]
        resolve(list(dict.fromkeys(wanted)), everything, *chosen)
        for name, lock in LOCKS.items():
            output = Path(directory, f"{name}.txt")
            form = ("--generate-hashes", "--no-annotate", "--custom-compile-command", "make update-lock")
            resolve(requirements(lock), output, *form, constraint=everything)
            (DIRECTORY / output.name).write_text(output.read_text("utf-8"), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
