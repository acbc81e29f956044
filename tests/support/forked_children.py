"""Runs functions in forked child processes and collects their results."""

from __future__ import annotations

import json
import os
import signal
import traceback
from collections.abc import Callable
from typing import Any

SECONDS = 60
"""A child that takes longer hangs, and is killed."""


def in_forks(work: Callable[[int], Any], children: int = 2) -> list[Any]:
    """Call *work* in *children* forked processes at the same time, with 1, 2, …; return the results in order.

    A result must be JSON. If *work* raises, the result is the traceback.
    """
    started = [_start(work, child) for child in range(1, children + 1)]
    results = []
    for pid, read_end in started:
        with os.fdopen(read_end, "rb") as stream:
            result = stream.read()
        os.waitpid(pid, 0)
        assert result, f"a child did not return within {SECONDS} s"
        results.append(json.loads(result))
    return results


def _start(work: Callable[[int], Any], child: int) -> tuple[int, int]:
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        try:
            result = work(child)
        except BaseException:  # noqa: BLE001 - the parent gets the traceback
            result = traceback.format_exc()
        os.write(write_end, json.dumps(result).encode())
        os._exit(0)
    os.close(write_end)
    return pid, read_end
