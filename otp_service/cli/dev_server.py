"""An HTTP server for development, in a thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, suppress
from io import StringIO
from types import TracebackType
from typing import Any, Self, TypeVar
from wsgiref.types import StartResponse, WSGIApplication

from werkzeug.serving import WSGIRequestHandler, make_server

from otp_service.cli.listening import try_to_listen
from otp_service.local_hosts import LocalHosts

Server = TypeVar("Server")

_LOCAL = "127.0.0.1"


class DeferredApp:
    """A WSGI application whose target *app* is set later, when the address of the server is known."""

    def __init__(self) -> None:
        self.app: WSGIApplication = _not_ready

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Call the application, or answer with 503 until it is set."""
        return self.app(environ, start_response)


def _not_ready(_: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    start_response("503 Service Unavailable", [("Retry-After", "1")])
    return []


class DevServer:
    """Serves an application on 127.0.0.1. Close it, or use it as a context manager.

    Rejects requests whose `Host` is not this machine: see `local_hosts`.
    """

    def __init__(self, app: WSGIApplication, port: int) -> None:
        guarded = LocalHosts(app, _LOCAL)
        self._server = make_server(_LOCAL, port, guarded, threaded=True, request_handler=_SilentHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash."""
        return f"http://{_LOCAL}:{self._server.port}"

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _SilentHandler(WSGIRequestHandler):
    """Logs nothing, because the service logs its requests itself."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Drop the line."""


def bind_with_fallback(start: Callable[[int], Server], port: int) -> Server:
    """Return the server that *start* creates on *port*, or on any free port if *port* is taken."""
    if _is_free(port):
        # If another process takes the port in the meantime, werkzeug prints a message and raises SystemExit.
        with suppress(SystemExit, OSError), redirect_stderr(StringIO()):
            return start(port)
    return start(0)


def _is_free(port: int) -> bool:
    try:
        try_to_listen(_LOCAL, port)
    except (OSError, OverflowError):
        return False
    return True
