"""The sheet: a reading as a file, whole or not there. Touches files.

`<pid>.json`. Counters outlive their process, so a sheet stays when its process has gone; its gauges do not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from otp_service.metrics.meter import Reading

_JSON = json.JSONEncoder(separators=(",", ":"))


def write(path: Path, reading: Reading) -> None:
    """Write *reading* so that nobody ever reads half of it."""
    parts = reading.counters, reading.gauges, reading.histograms
    draft = path.with_suffix(".draft")
    draft.write_text(_JSON.encode([_rows(part) for part in parts]))
    draft.replace(path)


def read(path: Path) -> Reading:
    """Return what was written."""
    counters, gauges, histograms = json.loads(path.read_text())
    reading = Reading()
    reading.counters.update(_series(counters))
    reading.gauges.update(_series(gauges))
    reading.histograms.update(_series(histograms))
    return reading


def all_in(directory: Path) -> Iterator[Path]:
    """List every sheet."""
    return directory.glob("*.json")


def is_of_the_living(path: Path) -> bool:
    """Tell whether the process that wrote it is there."""
    with suppress(ProcessLookupError):
        os.kill(int(path.stem), 0)
        return True
    return False


def _rows(part: dict[Any, Any]) -> list[Any]:
    return [[name, labels, value] for (name, labels), value in part.items()]


def _series(rows: Iterable[Any]) -> Iterator[Any]:
    return (((name, tuple(labels)), value) for name, labels, value in rows)
