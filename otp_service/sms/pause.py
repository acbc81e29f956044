"""Pauses: a template that the provider refuses for an operator's error rests for a minute. Touches nothing.

Arrears or a withdrawn sign name do not pass by asking again. A pause spares the call and sends the next SMS
to the next route at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

PAUSE_SECONDS = 60.0


class Pauses:
    """Which templates of one route rest, and until when.

    By template, so that one wrong template leaves the others alone; an error of the whole account pauses each
    of its few templates when it is next used.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def start(self, template_code: str) -> None:
        """Let *template_code* rest from now on."""
        with self._lock:
            self._until[template_code] = self._monotonic() + PAUSE_SECONDS

    def holds(self, template_code: str) -> bool:
        """Tell whether *template_code* rests."""
        with self._lock:
            return self._monotonic() < self._until.get(template_code, float("-inf"))

    def any(self) -> bool:
        """Tell whether some template rests."""
        with self._lock:
            return any(self._monotonic() < until for until in self._until.values())
