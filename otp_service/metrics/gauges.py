"""Gauges: what is so at the moment, asked of the parts when it is written. Touches nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from otp_service.metrics.families import Family


@dataclass(frozen=True, slots=True)
class Gauge:
    """The *value* of one series now."""

    family: Family
    value: float
    labels: tuple[str, ...] = ()


Gauges = Callable[[], Iterable[Gauge]]
