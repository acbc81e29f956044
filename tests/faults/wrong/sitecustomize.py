"""Shifts the clock of every process that starts with this folder on its path."""

from __future__ import annotations

import os

from otp_service.observability.clock import SystemClock

now = SystemClock.now
SystemClock.now = staticmethod(lambda: now() + float(os.environ["OTP_TEST_WRONG_BY"]))  # type: ignore[method-assign]
