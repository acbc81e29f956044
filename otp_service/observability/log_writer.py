"""A background thread that writes log lines to a file descriptor in batches.

A full disk or an unread pipe may cost log lines, but must never delay a request. A fork must neither lose
nor repeat lines. logging's QueueHandler and QueueListener guarantee neither: their thread and queue do not
survive a fork, and at shutdown they block for as long as the pipe is full.

Under gevent the thread is still a native one. A greenlet that writes would block all other greenlets.
gevent's thread pool loses results if the process forks while one of its tasks runs, and then both processes
may hang.
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
"""How long the first line of a batch waits for more. A killed process loses what it has not written yet."""

DRAIN_SECONDS = 2.0
"""How long `drain` waits for the last lines to be written."""

MAX_QUEUED = 100_000
"""The maximum number of unwritten lines. Further lines are dropped."""


class BufferedLogWriter:
    """Accepts lines from any thread without blocking it, and drops lines that cannot be written.

    *dropped* is called with the number of dropped lines, in a thread that calls `write` or `drain`.
    """

    def __init__(self, file: int = STANDARD_OUTPUT, dropped: Callable[[int], None] = lambda _: None) -> None:
        self._file = file
        self._dropped = dropped
        self._queue_class = _unpatched("queue", "SimpleQueue")
        self._new_lock = _unpatched("threading", "Lock")
        self._sleep = _unpatched("time", "sleep")
        self._start_thread = _unpatched("_thread", "start_new_thread")
        self._start()
        forks.call_in_child(self._start)

    def write(self, line: bytes) -> int:
        """Queue *line*, or drop it if the queue is full; return its length in either case."""
        if self._lost:
            self._report_lost()
        if self._queue.qsize() >= MAX_QUEUED:
            self._dropped(1)
        else:
            self._queue.put(line)
        return len(line)

    def flush(self) -> None:
        """Do nothing: the thread writes lines within `BATCH_SECONDS`, and `drain` waits for it."""

    def drain(self) -> None:
        """Wait until all lines queued so far are written, for at most `DRAIN_SECONDS`."""
        written = self._new_lock()
        written.acquire()
        self._queue.put(written)
        written.acquire(timeout=DRAIN_SECONDS)
        self._report_lost()

    def close(self) -> None:
        """Drain, then stop the thread. Later lines are lost."""
        self.drain()
        self._queue.put(None)

    def _start(self) -> None:
        """Start with an empty queue, also in a child process: its parent writes the lines queued so far."""
        self._queue = self._queue_class()
        self._lost = 0
        self._lost_lock = self._new_lock()
        # The new thread must not receive signals: the main thread handles them and sets its own mask.
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self._start_thread(self._run, (self._queue,))
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)

    def _run(self, queue: Any) -> None:
        """Write lines until None is queued. Release a queued lock once all lines before it are written."""
        is_open = True
        while is_open:
            batch = [queue.get()]
            self._sleep(BATCH_SECONDS)
            batch += [queue.get() for _ in range(queue.qsize())]
            self._write_lines([item for item in batch if isinstance(item, bytes)])
            for item in batch:
                if item is None:
                    is_open = False
                elif not isinstance(item, bytes):
                    item.release()

    def _write_lines(self, lines: list[bytes]) -> None:
        rest = b"".join(lines)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:  # a full disk or a closed pipe
            with self._lost_lock:
                self._lost += rest.count(b"\n")

    def _report_lost(self) -> None:
        with self._lost_lock:
            lost, self._lost = self._lost, 0
        if lost:
            self._dropped(lost)


def _unpatched(module: str, name: str) -> Any:
    """Return *name* of *module* as it was before gevent patched it, if it did."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey.get_original(module, name) if monkey else getattr(import_module(module), name)
