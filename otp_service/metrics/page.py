"""The page: the sheets of all processes as Prometheus reads them. Touches files and a port."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from otp_service.metrics import sheet
from otp_service.metrics.families import FAMILIES, Family, Kind
from otp_service.metrics.meter import Labels, Reading, Series


class Sheets(Collector):
    """All sheets of *directory* as one; what the gone have counted is kept here, and their sheets removed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._gone = Reading()

    def collect(self) -> Iterator[Metric]:
        """Return every family, with whatever was counted."""
        with self._lock:
            living = self._living()
            total = Reading()
            for reading in (self._gone, *living):
                total.add(reading)
        for family in FAMILIES:
            yield _WRITTEN[family.kind](family, total, living)

    def _living(self) -> list[Reading]:
        living = []
        for path in sheet.all_in(self._directory):
            # Asked first: what a process that is gone has written changes no more.
            if sheet.is_of_the_living(path):
                living.append(sheet.read(path))
            else:
                self._gone.add(sheet.read(path))
                path.unlink()
        return living


class Page:
    """Serves `/metrics` from a thread of this process; close it, or use it as a context manager."""

    def __init__(self, directory: Path, host: str, port: int) -> None:
        """Listen.

        Raises:
            OSError: nobody can listen there.
        """
        registry = CollectorRegistry()
        registry.register(Sheets(directory))
        self._server, self._thread = start_http_server(port, host, registry)
        # A worker that is forked later must not hold the port when this process has gone.
        os.register_at_fork(after_in_child=self._forget)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _forget(self) -> None:
        with suppress(OSError):
            self._server.socket.close()


def _counter(family: Family, total: Reading, _: Iterable[Reading]) -> Metric:
    metric = CounterMetricFamily(family.name, family.text, labels=family.labels)
    for labels, value in _of(family, total.counters):
        metric.add_metric(labels, value)
    return metric


def _gauge(family: Family, _: Reading, living: Iterable[Reading]) -> Metric:
    metric = GaugeMetricFamily(family.name, family.text, labels=family.labels)
    values: dict[Labels, list[float]] = {}
    for reading in living:
        for labels, value in _of(family, reading.gauges):
            values.setdefault(labels, []).append(value)
    for labels, told in sorted(values.items()):
        metric.add_metric(labels, family.unite(told))
    return metric


def _histogram(family: Family, total: Reading, _: Iterable[Reading]) -> Metric:
    metric = HistogramMetricFamily(family.name, family.text, labels=family.labels)
    ends = [*map(str, family.buckets), "+Inf"]
    for labels, (*counts, seconds) in _of(family, total.histograms):
        buckets = list(zip(ends, accumulate(counts), strict=True))
        metric.add_metric(labels, buckets, sum_value=seconds)
    return metric


def _of(family: Family, part: Mapping[Series, Any]) -> list[tuple[Labels, Any]]:
    """Return the series of *family*; a counter without labels begins with nought, so that it can rise."""
    found = sorted((labels, value) for (name, labels), value in part.items() if name == family.name)
    starts_at_once = family.kind is Kind.COUNTER and not family.labels
    return found or ([((), 0.0)] if starts_at_once else [])


_WRITTEN = {Kind.COUNTER: _counter, Kind.GAUGE: _gauge, Kind.HISTOGRAM: _histogram}
