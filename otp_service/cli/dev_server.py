"""The server for development, one thread of this process. Touches sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, suppress
from io import StringIO
from types import TracebackType
from typing import Any, Self, TypeVar
from wsgiref.types import StartResponse, WSGIApplication

from werkzeug.serving import WSGIRequestHandler, make_server

from otp_service.local_hosts import LocalHosts

Started = TypeVar("Started")

_LOCAL = "127.0.0.1"


class DeferredApp:
    """A WSGI application that is told what stands behind it once the address it answers at is known."""

    def __init__(self) -> None:
        self.app: WSGIApplication = _nothing_yet

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the application does; 503 before there is one."""
        return self.app(environ, start_response)


def _nothing_yet(_: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    start_response("503 Service Unavailable", [("Retry-After", "1")])
    return []


class DevServer:
    """An application served to this machine by a thread; close it, or use it as a context manager.

    Requests for a host that is not loopback are refused: see `local_hosts`.
    """

    def __init__(self, app: WSGIApplication, port: int) -> None:
        guarded = LocalHosts(app, _LOCAL)
        self._server = make_server(_LOCAL, port, guarded, threaded=True, request_handler=_SilentHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://{_LOCAL}:{self._server.port}"

    def close(self) -> None:
        """Stop listening."""
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
    """Logs nothing: the service records its calls itself."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Drop the line."""


def bind_with_fallback(start: Callable[[int], Started], wanted: int) -> Started:
    """Return what *start* makes of the port *wanted*, or of any free one when that is taken."""
    if _is_free(wanted):
        with (
            suppress(SystemExit, OSError),
            redirect_stderr(StringIO()),
        ):  # werkzeug's ways when somebody was faster
            return start(wanted)
    return start(0)


def _is_free(port: int) -> bool:
    try:
        try_to_listen("127.0.0.1", port)
    except (OSError, OverflowError):
        return False
    return True


def try_to_listen(host: str, port: int) -> str:
    """Return the address of *host*, at which one can listen.

    Raises:
        OSError: nobody can.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    with socket.create_server(address[:2], family=family) as listening:
        return str(listening.getsockname()[0])
