"""The sources of the package as the harness tests read them: parsed, never imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "otp_service"


@dataclass(frozen=True)
class Source:
    """One module: its path below the package, and its dotted name."""

    path: str

    @property
    def name(self) -> str:
        dotted = self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        return f"{PACKAGE}.{dotted}" if dotted != "__init__" else PACKAGE

    @property
    def place(self) -> str:
        """The entry at the top level of the package that it belongs to."""
        return self.path.partition("/")[0].removesuffix(".py")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse((ROOT / PACKAGE / self.path).read_text())

    @cached_property
    def imports(self) -> frozenset[str]:
        """Every module that is imported, wherever in the file; those for type checkers, too."""
        return frozenset(self._imports())

    def _imports(self) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                module = str(node.module)
                found = [f"{module}.{alias.name}" for alias in node.names]
                yield from (name if name in NAMES else module for name in found)

    def ours(self) -> set[str]:
        """The modules of this package that it imports."""
        return {name for name in self.imports if name.partition(".")[0] == PACKAGE}

    def outside(self) -> set[str]:
        """The top-level names of everything else that it imports."""
        return {top for name in self.imports if (top := name.partition(".")[0]) != PACKAGE} - {"__future__"}


SOURCES = tuple(
    Source(path.relative_to(ROOT / PACKAGE).as_posix()) for path in sorted((ROOT / PACKAGE).rglob("*.py"))
)
NAMES = {source.name for source in SOURCES}
