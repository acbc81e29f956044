"""Waiting for the signal to stop: Ctrl-C, SIGTERM or a closed terminal."""

from __future__ import annotations

import signal
import threading

_POLL_SECONDS = 0.5


class ShutdownEvent:
    """Set by SIGINT, SIGTERM or SIGHUP. Create it in the main thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._set)

    def wait(self) -> None:
        """Block until a signal arrives."""
        # Python runs signal handlers in the main thread. A signal that another thread receives does not
        # interrupt a lock that the main thread waits for, so the main thread must wake up by itself.
        while not self._event.wait(_POLL_SECONDS):
            pass

    def _set(self, *_: object) -> None:
        self._event.set()
