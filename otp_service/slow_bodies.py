"""Slow bodies: who announces a body and does not send it holds no thread for long. Touches threads, sockets.

granian reads a body in the thread that serves it, without a time-out, so that some connections that never end
their bodies would hold every thread. A watch per worker process cuts them off: soon those that are too many,
after some seconds all of them.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import IO, Any, Protocol
from wsgiref.types import StartResponse, WSGIApplication

SECONDS = 5.0
"""Within which a body must have come, whole."""

GRACE = 0.3
"""Seconds that a body has however many others are waited for: honest ones come with their headers."""

SHARE = 4
"""Of this part of the threads no more wait for a body for longer than GRACE."""

TICK = 0.1


class Connection(Protocol):
    """What granian answers through."""

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Iterable[bytes]) -> None:
        """Send an answer, part by part."""


class SlowBodies:
    """A WSGI application around *app*, whose worker process has so many *threads*.

    It has no effect under another server than granian.
    """

    def __init__(
        self, app: WSGIApplication, threads: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._room = max(1, threads // SHARE)
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[_Body, float] = {}
        threading.Thread(target=self._run, name="slow-bodies", daemon=True).start()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request."""
        connection = _connection_of(sys._getframe(1))  # noqa: SLF001 - see there
        if connection is not None:
            environ["wsgi.input"] = _Body(environ["wsgi.input"], connection, self)
        return self._app(environ, start_response)

    def began(self, body: _Body) -> None:
        """Note that a thread waits for *body*."""
        with self._lock:
            self._waiting[body] = self._clock()

    def ended(self, body: _Body) -> None:
        """Note that it does no more."""
        with self._lock:
            self._waiting.pop(body, None)

    def cut(self) -> None:
        """Cut off whoever keeps a thread waiting for too long, the longest first."""
        now = self._clock()
        with self._lock:
            waiting = list(self._waiting.items())  # in the order in which they began
            too_many = len(waiting) - self._room
            for place, (body, since) in enumerate(waiting):
                if now - since > (GRACE if place < too_many else SECONDS):
                    del self._waiting[body]
                    body.cut()

    def _run(self) -> None:
        while True:
            time.sleep(TICK)
            self.cut()


class _Body:
    """The body of one request, as far as anybody here reads it."""

    def __init__(self, stream: IO[bytes], connection: Connection, watch: SlowBodies) -> None:
        self._stream = stream
        self._connection = connection
        self._watch = watch

    def read(self, size: int) -> bytes:
        """Return *size* bytes, fewer at the end or when the connection is cut off."""
        self._watch.began(self)
        try:
            return self._stream.read(size)
        finally:
            self._watch.ended(self)

    def cut(self) -> None:
        """Answer with less than is announced, on which granian drops the connection and `read` returns."""
        self._connection.response_iter(408, [("Content-Length", "1")], iter(()))


def _connection_of(frame: Any) -> Connection | None:
    """Return the connection that granian serves around *frame*; its application gets no other way to it."""
    while frame is not None and frame.f_code.co_name != "_runner":
        frame = frame.f_back
    return frame.f_locals.get("proto") if frame is not None else None
