"""The results of the benchmarks, in `latest.json` by the name of each benchmark."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

LATEST = Path(__file__).parent / "latest.json"


def keep(name: str, **figures: object) -> None:
    """Store the results of the benchmark *name*, and keep those of the others."""
    machine = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "at": f"{datetime.now(UTC):%F %R}Z",
    }
    LATEST.write_text(json.dumps({**read(), name: {**figures, "machine": machine}}, indent=2) + "\n")


def read() -> dict[str, dict[str, object]]:
    """Return all results by the names of the benchmarks."""
    try:
        found: dict[str, dict[str, object]] = json.loads(LATEST.read_text())
    except FileNotFoundError:
        return {}
    return found


def bar(what: str, value: float, limit: float, *, least: bool = False) -> None:
    """Print *value* and whether it is within *limit*: a minimum if *least*, else a maximum."""
    is_met = value >= limit if least else value <= limit
    words = "at least" if least else "at most"
    print(f"{what:<44}{value:>10.2f}   {words} {limit:g}: {'met' if is_met else 'NOT MET'}")
