"""The writer: what a process has counted, written about every second. Touches files and a thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from otp_service.metrics import sheet
from otp_service.metrics.gauges import Gauge, Gauges
from otp_service.metrics.meter import Meter

SECONDS = 1.0
"""A killed process loses the counts of this time."""


def _nothing() -> Iterable[Gauge]:
    return ()


class Writer:
    """Writes the counts of *meter*, and the gauges that it was told of last, to the sheet of this process."""

    def __init__(self, meter: Meter, directory: Path) -> None:
        self._meter = meter
        self._path = directory / f"{os.getpid()}.json"
        self._gauges: Gauges = _nothing
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._writing = threading.Lock()

    def watch(self, gauges: Gauges) -> None:
        """Ask *gauges*, and no others, from now on."""
        self._gauges = gauges

    def start(self) -> None:
        """Begin to write."""
        self.write()
        self._thread.start()

    def write(self) -> None:
        """Write now. A full disk costs metrics and nothing else."""
        with self._writing, suppress(OSError):
            reading = self._meter.read()
            reading.gauges.update({(g.family.name, g.labels): g.value for g in self._gauges()})
            sheet.write(self._path, reading)

    def close(self) -> None:
        """Write what is left and stop."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.write()

    def _run(self) -> None:
        while not self._stop.wait(SECONDS):
            self.write()
