"""Pauses: what the provider refuses for an operator's error rests for a minute.

Arrears or a withdrawn sign name do not pass by asking again. A pause spares the call and sends the next SMS
to the next route at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from otp_service import forks

PAUSE_SECONDS = 60.0

EVERY_TEMPLATE = "*"
"""Stands for the whole route; no template has this code."""


class Suspensions:
    """Which templates of one route rest, and until when; a wrong template leaves the others alone."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._restart()
        forks.call_in_child(self._restart)
        self._until: dict[str, float] = {}

    def _restart(self) -> None:
        self._lock = threading.Lock()

    def start(self, template_code: str) -> None:
        """Let *template_code*, or `EVERY_TEMPLATE`, rest from now on."""
        with self._lock:
            self._until[template_code] = self._monotonic() + PAUSE_SECONDS

    def is_suspended(self, template_code: str) -> bool:
        """Tell whether *template_code* rests."""
        return self._rests(template_code) or self._rests(EVERY_TEMPLATE)

    def any(self) -> bool:
        """Tell whether some template rests."""
        with self._lock:
            return any(self._monotonic() < until for until in self._until.values())

    def _rests(self, template_code: str) -> bool:
        with self._lock:
            return self._monotonic() < self._until.get(template_code, float("-inf"))
