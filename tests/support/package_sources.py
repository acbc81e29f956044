"""The source files of the package, parsed with `ast` and never imported."""

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
    """One module; *path* is relative to the package."""

    path: str

    @property
    def name(self) -> str:
        dotted = self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        return f"{PACKAGE}.{dotted}" if dotted != "__init__" else PACKAGE

    @property
    def top_level(self) -> str:
        """The module or subpackage directly below the package that contains it."""
        return self.path.partition("/")[0].removesuffix(".py")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse((ROOT / PACKAGE / self.path).read_text())

    @cached_property
    def imports(self) -> frozenset[str]:
        """All imported modules, wherever in the file; including imports for type checkers."""
        return frozenset(self._imports())

    def _imports(self) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                module = str(node.module)
                found = [f"{module}.{alias.name}" for alias in node.names]
                yield from (name if name in NAMES else module for name in found)

    def own_imports(self) -> set[str]:
        """Return the modules of this package that it imports."""
        return {name for name in self.imports if name.partition(".")[0] == PACKAGE}

    def foreign_imports(self) -> set[str]:
        """Return the top-level names of all other modules that it imports."""
        return {top for name in self.imports if (top := name.partition(".")[0]) != PACKAGE} - {"__future__"}


SOURCES = tuple(
    Source(path.relative_to(ROOT / PACKAGE).as_posix()) for path in sorted((ROOT / PACKAGE).rglob("*.py"))
)
NAMES = {source.name for source in SOURCES}
