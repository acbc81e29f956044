"""Packs the npm packages of clients/ as for a release, and installs them into a test project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.nodejs import ROOT, node
from support.redis_servers import skip_or_fail

CLIENT = ROOT / "clients" / "js"
WIDGET = ROOT / "clients" / "widget"
ELEMENT = ROOT / "otp_service" / "web" / "widget" / "widget.js"
TOOLS = ROOT / "tests" / "npm"
MODULES = TOOLS / "node_modules"


@dataclass(frozen=True)
class Project:
    """A project with the packed packages installed, and React and Vue."""

    directory: Path
    tarballs: dict[str, Path]
    """The packed file of each package."""

    def installed(self, name: str) -> Path:
        """Return the folder of an installed package."""
        return self.directory / "node_modules" / name

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text, "utf-8")
        return path

    def bundle(self, entry: str, outfile: str, form: str, *aliases: str) -> str:
        """Bundle a module with esbuild and return the text. *form*: `esm`, `iife`, or `node` for a server."""
        run([node(), str(TOOLS / "bundle.js"), entry, outfile, form, *aliases], self.directory)
        return (self.directory / outfile).read_text("utf-8")

    def run(self, name: str) -> str:
        """Run a module of the project in Node.js and return what it prints."""
        return run([node(), name], self.directory)


def run(command: list[str], directory: Path, **variables: str) -> str:
    """Run a command that must succeed, with additional environment *variables*; return its output."""
    result = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def metadata(package: Path) -> dict[str, Any]:
    """Return the content of the package.json in *package*."""
    content: dict[str, Any] = json.loads((package / "package.json").read_text("utf-8"))
    return content


def npm() -> str:
    """Return the path of npm, after checking that the build tools are installed."""
    path = shutil.which("npm")
    if path is None:
        skip_or_fail("npm is not installed")
    if not (MODULES / "esbuild").is_dir():
        skip_or_fail("the packages of tests/npm are missing (npm ci --prefix tests/npm)")
    return str(path)


def make_project(directory: Path) -> Project:
    """Build and pack both packages from a copy of their sources, and install the packed files."""
    sources, project = directory / "sources", directory / "project"
    ignored = shutil.ignore_patterns("node_modules", "dist", "*.tgz")
    for folder in (CLIENT, WIDGET):
        shutil.copytree(folder, sources / folder.relative_to(ROOT), ignore=ignored)
    (sources / ELEMENT.relative_to(ROOT)).parent.mkdir(parents=True)
    shutil.copy(ELEMENT, sources / ELEMENT.relative_to(ROOT))

    project.mkdir()
    (project / "package.json").write_text('{"private": true, "type": "module"}')
    program = npm()
    path = f"{MODULES / '.bin'}{os.pathsep}{os.environ['PATH']}"
    packages = [f"./{folder.relative_to(ROOT)}" for folder in (CLIENT, WIDGET)]
    run([program, "pack", "--silent", "--pack-destination", str(project), *packages], sources, PATH=path)
    tarballs = {
        metadata(folder)["name"]: project / f"{slug}-{metadata(folder)['version']}.tgz"
        for folder, slug in ((CLIENT, "otp-service-client"), (WIDGET, "otp-service-widget"))
    }
    install(project, *map(str, tarballs.values()))
    for name in ("react", "react-dom", "react18", "react-dom18", "vue", "@types/react"):
        link(project, name, MODULES)
    return Project(project, tarballs)


def link(project: Path, name: str, modules: Path) -> None:
    """Make the package *name* of *modules* importable in *project*."""
    target = project / "node_modules" / name
    target.parent.mkdir(exist_ok=True)
    if not target.exists():
        target.symlink_to(modules / name)


def install(directory: Path, *packages: str) -> None:
    """Install packed files into *directory*, without a registry and without peer dependencies."""
    run([npm(), "install", "--silent", "--offline", "--no-package-lock", *packages], directory)
