"""Succession: calls go to the newest application, an older one ends with its last call. Touches threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication


@dataclass
class _Reign:
    """One application, how many *calls* are in it, and what ends it."""

    app: WSGIApplication
    close: Callable[[], None]
    calls: int = 0


class Succession:
    """A WSGI application that can be replaced by another while it serves.

    A call ends where it began. One that takes longer than *patience* seconds is not waited for.
    """

    def __init__(self, app: WSGIApplication, close: Callable[[], None], patience: float) -> None:
        self._patience = patience
        self._changed = threading.Condition()
        self._reign = _Reign(app, close)
        self._ending: list[threading.Thread] = []

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request."""
        with self._changed:
            reign = self._reign
            reign.calls += 1
        try:
            return reign.app(environ, start_response)
        finally:
            with self._changed:
                reign.calls -= 1
                self._changed.notify_all()

    def succeed(self, app: WSGIApplication, close: Callable[[], None]) -> None:
        """Let *app* serve from now on; the last one is closed, in a thread, once its calls have ended."""
        with self._changed:
            last, self._reign = self._reign, _Reign(app, close)
        self._end(last)

    def close(self) -> None:
        """End every application, and return when that is done."""
        self._end(self._reign)
        for thread in self._ending:
            thread.join()

    def _end(self, reign: _Reign) -> None:
        thread = threading.Thread(target=self._wait_and_close, args=(reign,), name="succession", daemon=True)
        thread.start()
        self._ending = [ending for ending in self._ending if ending.is_alive()] + [thread]

    def _wait_and_close(self, reign: _Reign) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not reign.calls, self._patience)
        reign.close()
