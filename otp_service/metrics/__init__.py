"""Metrics: events become counts, the counts of all processes one page for Prometheus. Touches files, a port.

Every process counts in its own memory and writes what it has counted to a file of its own about every second;
who serves the page reads the files. Nothing on the way of a call waits for a file or for another process.
The page itself, in `page.py`, is imported by who shows it only: prometheus-client is a fortieth of a start.
"""

from __future__ import annotations

from otp_service.metrics import families
from otp_service.metrics.counting import CountedEvents
from otp_service.metrics.families import FAMILIES, Family, Kind
from otp_service.metrics.gauges import Gauge
from otp_service.metrics.meter import Meter
from otp_service.metrics.writer import Writer

__all__ = ["FAMILIES", "CountedEvents", "Family", "Gauge", "Kind", "Meter", "Writer", "families"]
