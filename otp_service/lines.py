"""Lines: written to a file descriptor by a thread of their own, many at once. Touches a thread and its file.

A full disk or a pipe that nobody reads must cost lines and never a call, and a fork must neither repeat nor
lose lines. logging's QueueHandler and QueueListener guarantee neither: their thread and their queue do not
survive a fork, and they wait at the end for as long as the pipe is full.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from otp_service import forks

STANDARD_OUTPUT = 1

BATCH_SECONDS = 0.02
"""How long a line may wait for others; what a killed process has not yet written is lost."""

DRAIN_SECONDS = 2.0
"""How long the end of a process waits for its last lines to be written."""

MAX_WAITING = 100_000
"""Lines kept when they cannot be written; further ones are dropped."""


class LineWriter:
    """Takes lines from any thread and never makes one wait; lines that cannot be written are dropped.

    *dropped* is called for each of them.
    """

    def __init__(self, file: int = STANDARD_OUTPUT, dropped: Callable[[], None] = lambda: None) -> None:
        self._file = file
        self._dropped = dropped
        self._write = _unblocking_write()
        self._start()
        forks.call_in_child(self._start)

    def write(self, line: bytes) -> int:
        """Take *line*."""
        if self._waiting.qsize() >= MAX_WAITING:
            self._dropped()
        else:
            self._waiting.put(line)
        return len(line)

    def flush(self) -> None:
        """Do nothing: lines are written soon, and `drain` waits for that."""

    def drain(self) -> None:
        """Wait until all lines taken so far are written, at most `DRAIN_SECONDS`."""
        written = threading.Event()
        self._waiting.put(written)
        written.wait(DRAIN_SECONDS)

    def close(self) -> None:
        """End the thread after the lines taken so far; what is written later is lost."""
        self._waiting.put(None)
        self._thread.join(DRAIN_SECONDS)

    def _start(self) -> None:
        """Begin with nothing, in a child too: the lines that wait during a fork are the parent's to write."""
        self._waiting: SimpleQueue[bytes | threading.Event | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, args=(self._waiting,), name="lines", daemon=True)
        self._thread.start()

    def _run(self, waiting: SimpleQueue[bytes | threading.Event | None]) -> None:
        while True:
            taken = [waiting.get()]
            time.sleep(BATCH_SECONDS)
            if waiting is not self._waiting:
                continue  # in a child, where gevent lets the parent's greenlets go on, for ever
            with suppress(Empty):
                while True:
                    taken.append(waiting.get_nowait())
            self._write_lines([item for item in taken if isinstance(item, bytes)])
            for item in taken:
                if isinstance(item, threading.Event):
                    item.set()
            if None in taken:
                return

    def _write_lines(self, lines: list[bytes]) -> None:
        rest = b"".join(lines)
        try:
            while rest:
                rest = rest[self._write(self._file, rest) :]
        except OSError:  # a full disk, or a pipe that was closed
            for _ in range(rest.count(b"\n")):
                self._dropped()


def _unblocking_write() -> Callable[[int, bytes], int]:
    """Return what writes and holds up this thread only.

    Where gevent makes threads greenlets, a write that blocks would hold up all of them.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey and monkey.is_module_patched("threading"):
        from gevent.os import tp_write  # noqa: PLC0415 - only where gevent is in use

        return tp_write
    return os.write
