"""Lines: written to a stream by a thread of their own, many at once. Touches a stream and a thread.

A write of its own for every line would let go of the interpreter in the middle of each call, which under load
costs more than the call's own work.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

BATCH_SECONDS = 0.02
"""How long a line may wait for others; what a killed process has not yet written is lost."""

MAX_WAITING = 100_000
"""Lines kept when nobody takes them; beyond that the oldest are dropped."""


class LineWriter:
    """Takes lines from any thread and never makes one wait; a stream that fails costs its lines only.

    *dropped* is called for every line that nobody took in time, and for those that the stream refused.
    """

    def __init__(self, stream: BinaryIO, dropped: Callable[[], None] = lambda: None) -> None:
        self._stream = stream
        self._dropped = dropped
        self._is_closed = False
        self._start()
        os.register_at_fork(after_in_child=self._start)

    def write(self, line: bytes) -> int:
        """Take *line*."""
        if len(self._waiting) >= MAX_WAITING:
            self._dropped()
        self._waiting.append(line)
        if not self._wake.is_set():
            self._wake.set()
        return len(line)

    def flush(self) -> None:
        """Do nothing: lines are written soon, `drain` writes them now."""

    def drain(self) -> None:
        """Write all lines that wait."""
        with self._writing:
            lines = self._take()
            try:
                self._stream.write(b"".join(lines))
                self._stream.flush()
            except (OSError, ValueError):  # a full disk, or a stream that was closed
                for _ in lines:
                    self._dropped()

    def close(self) -> None:
        """Write all lines that wait, and end the thread; what is written later is lost."""
        self._is_closed = True
        self._wake.set()
        self.drain()

    def _start(self) -> None:
        """Begin with nothing: what waits in a process when it forks is for that process to write."""
        self._waiting: deque[bytes] = deque(maxlen=MAX_WAITING)
        self._wake = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_closed:
            self._wake.wait()
            time.sleep(BATCH_SECONDS)
            self._wake.clear()
            self.drain()

    def _take(self) -> list[bytes]:
        lines = []
        with suppress(IndexError):
            while True:
                lines.append(self._waiting.popleft())
        return lines
