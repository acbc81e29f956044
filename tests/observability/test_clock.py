from __future__ import annotations

import time

from otp_service.observability.clock import SystemClock
from otp_service.services.interfaces import Clock


def test_clock_returns_unix_seconds() -> None:
    before = time.time()
    now = SystemClock().now()

    assert before <= now <= time.time()


def test_monotonic_clock_never_goes_backwards() -> None:
    clock: Clock = SystemClock()

    assert clock.monotonic() <= clock.monotonic()
