"""The meter: what one process has counted. Touches nothing but a lock."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field

from otp_service.metrics.families import FAMILIES, Family

Labels = tuple[str, ...]
Series = tuple[str, Labels]
"""A metric's name and the values of its labels."""

_BUCKETS = {family.name: family.buckets for family in FAMILIES}


@dataclass
class Reading:
    """What was counted: counters, gauges, and histograms as counts per bucket, the sum at their end."""

    counters: dict[Series, float] = field(default_factory=lambda: defaultdict(float))
    gauges: dict[Series, float] = field(default_factory=dict)
    histograms: dict[Series, list[float]] = field(default_factory=dict)

    def add(self, other: Reading) -> None:
        """Add the counters and histograms of *other*; gauges of two processes are not for adding here."""
        for series, value in other.counters.items():
            self.counters[series] += value
        for series, row in other.histograms.items():
            mine = self.histograms.setdefault(series, [0.0] * len(row))
            self.histograms[series] = [a + b for a, b in zip(mine, row, strict=True)]


class Meter:
    """Counts for all threads of a process. A count is a step in a dictionary, and no more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted = Reading()

    def count(self, family: Family, *labels: str, by: float = 1) -> None:
        """Count *by* more."""
        series = family.name, labels
        with self._lock:
            self._counted.counters[series] += by

    def observe(self, family: Family, seconds: float, *labels: str) -> None:
        """Note one duration."""
        series = family.name, labels
        place = bisect_left(family.buckets, seconds)
        with self._lock:
            row = self._counted.histograms.get(series)
            if row is None:
                row = self._counted.histograms[series] = [0.0] * (len(family.buckets) + 2)
            row[place] += 1
            row[-1] += seconds

    def read(self) -> Reading:
        """Return a copy of everything counted so far."""
        copy = Reading()
        with self._lock:
            copy.add(self._counted)
        return copy
