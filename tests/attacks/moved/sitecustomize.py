"""Shifts the clock of every process that starts with this folder on its path, by the offset in a file.

A test uses it to advance the time of the worker processes: the `TIME` in scripts and the clock of the service
are shifted together. Keys still expire by the real clock of the server, which keeps them longer.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

AHEAD = Path(os.environ["OTP_TEST_AHEAD"])
PLAIN = "return time[1] * 1000 + floor(time[2] / 1000)"


def ahead() -> int:
    """Return how many ms the clock of this process is ahead."""
    return int(AHEAD.read_text() or 0)


def move_clocks() -> None:
    from otp_service.observability.clock import SystemClock  # noqa: PLC0415 - the path is complete only now
    from otp_service.store import scripts  # noqa: PLC0415 - as above

    @cache
    def moved(name: str, ms: int) -> scripts.Script:
        source = scripts.script(name).source
        assert PLAIN in source or "'TIME'" not in source
        return scripts.script_from(source.replace(PLAIN, f"{PLAIN} + ({ms})"))

    def script_of_runner(_: scripts.ScriptRunner, name: str) -> scripts.Script:
        ms = ahead()
        return moved(name, ms) if ms else scripts.script(name)

    now = SystemClock.now
    scripts.ScriptRunner._script = script_of_runner  # type: ignore[assignment, method-assign]
    SystemClock.now = staticmethod(lambda: now() + ahead() / 1000)  # type: ignore[method-assign]


move_clocks()
