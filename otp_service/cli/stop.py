"""The wish to stop: Ctrl-C, SIGTERM or a closed terminal. Touches signals."""

from __future__ import annotations

import signal
import threading

from otp_service.cli import wakeups


class ShutdownEvent:
    """Knows whether somebody wants this process to stop, from its making on."""

    def __init__(self) -> None:
        self._wished = threading.Event()
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._wish)
        wakeups.on_stops()

    def wait(self) -> None:
        """Block until somebody does."""
        self._wished.wait()

    def _wish(self, *_: object) -> None:
        self._wished.set()
