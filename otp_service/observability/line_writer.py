"""Lines: written to a file descriptor by a thread of their own, many at once. Touches a thread and its file.

A full disk or a pipe that nobody reads must cost lines and never a call, and a fork must neither repeat nor
lose lines. logging's QueueHandler and QueueListener guarantee neither: their thread and their queue do not
survive a fork, and they wait at the end for as long as the pipe is full.

The thread is a real one under gevent too. A greenlet that writes would hold up all others, and gevent's pool
of threads loses results when the process forks while one of its tasks runs: both processes may then hang.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from otp_service import forks

STANDARD_OUTPUT = 1

BATCH_SECONDS = 0.02
"""How long a line may wait for others; what a killed process has not yet written is lost."""

DRAIN_SECONDS = 2.0
"""How long the end of a process waits for its last lines to be written."""

MAX_WAITING = 100_000
"""Lines kept when they cannot be written; further ones are dropped."""


class BufferedLogWriter:
    """Takes lines from any thread and never makes one wait; lines that cannot be written are dropped.

    *dropped* is called with the number of lines that were, by whoever writes the next line or drains.
    """

    def __init__(self, file: int = STANDARD_OUTPUT, dropped: Callable[[int], None] = lambda _: None) -> None:
        self._file = file
        self._dropped = dropped
        self._queue_class = _native("queue", "SimpleQueue")
        self._new_lock = _native("threading", "Lock")
        self._sleep = _native("time", "sleep")
        self._start_thread = _native("_thread", "start_new_thread")
        self._start()
        forks.call_in_child(self._start)

    def write(self, line: bytes) -> int:
        """Take *line*."""
        if self._lost:
            self._tell_lost()
        if self._waiting.qsize() >= MAX_WAITING:
            self._dropped(1)
        else:
            self._waiting.put(line)
        return len(line)

    def flush(self) -> None:
        """Do nothing: lines are written soon, and `drain` waits for that."""

    def drain(self) -> None:
        """Wait until all lines taken so far are written, at most `DRAIN_SECONDS`."""
        written = self._new_lock()
        written.acquire()
        self._waiting.put(written)
        written.acquire(timeout=DRAIN_SECONDS)
        self._tell_lost()

    def close(self) -> None:
        """End the thread after the lines taken so far; what is written later is lost."""
        self.drain()
        self._waiting.put(None)

    def _start(self) -> None:
        """Begin with nothing, in a child too: the lines that wait during a fork are the parent's to write."""
        self._waiting = self._queue_class()
        self._lost = 0
        self._losing = self._new_lock()
        # Signals are for the main thread, which also decides which of them are held back.
        held_back = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self._start_thread(self._run, (self._waiting,))
        signal.pthread_sigmask(signal.SIG_SETMASK, held_back)

    def _run(self, waiting: Any) -> None:
        """Write lines until a None comes; a lock is released once all before it is written."""
        is_open = True
        while is_open:
            taken = [waiting.get()]
            self._sleep(BATCH_SECONDS)
            taken += [waiting.get() for _ in range(waiting.qsize())]
            self._write_lines([item for item in taken if isinstance(item, bytes)])
            for item in taken:
                if item is None:
                    is_open = False
                elif not isinstance(item, bytes):
                    item.release()

    def _write_lines(self, lines: list[bytes]) -> None:
        rest = b"".join(lines)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:  # a full disk, or a pipe that was closed
            with self._losing:
                self._lost += rest.count(b"\n")

    def _tell_lost(self) -> None:
        with self._losing:
            lost, self._lost = self._lost, 0
        if lost:
            self._dropped(lost)


def _native(module: str, name: str) -> Any:
    """Return what *name* of *module* is, or was before gevent replaced it."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey.get_original(module, name) if monkey else getattr(import_module(module), name)
