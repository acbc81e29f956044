"""The servers: granian with worker processes for production, one thread for development. Touches sockets."""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, suppress
from functools import partial
from io import StringIO
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar
from wsgiref.types import StartResponse, WSGIApplication

from werkzeug.serving import WSGIRequestHandler, make_server

from otp_service import wakeups
from otp_service.settings import Settings

# granian's allocator (jemalloc) would keep what a thread has freed for that thread, and there are hundreds.
# It reads this once, when granian is loaded.
os.environ.setdefault("_RJEM_MALLOC_CONF", "tcache:false,dirty_decay_ms:1000")

from granian import Granian
from granian.constants import HTTPModes, Interfaces, RuntimeModes
from granian.log import LogLevels

Started = TypeVar("Started")

MAX_CONNECTIONS = 16_384
"""Of one worker, most of them idle. Granian's own bound is its share of the backlog, a few hundred."""

OTHER_FILES = 512
"""What a worker opens beside them: connections to Redis and to providers."""

WORKER = "otp_service.worker"
"""What granian calls its target; who makes the application is told to `serve`."""

_LOGGING: dict[str, Any] = {"loggers": {"_granian": {"handlers": [], "propagate": True}}}
"""granian's own handlers give way to ours."""


def serve(settings: Settings, worker: Callable[[], WSGIApplication], announce: Callable[[], None]) -> None:
    """Run worker processes until SIGTERM or Ctrl-C; each calls *worker* for its application.

    *worker* can be pickled: not every system forks. *announce* is called once it listens.

    Raises:
        OSError: nobody can listen at that address.
    """
    server = settings.server
    _try_to_listen(server.host, server.port)  # granian would panic
    files = open_as_many_as_allowed()
    wakeups.on_stops()
    granian = Granian(
        WORKER,
        address=server.host,
        port=server.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=server.workers,
        blocking_threads=server.threads,
        runtime_mode=RuntimeModes.st,  # one thread takes up connections; more of them only contend
        backlog=server.backlog,
        backpressure=max(server.backlog, min(MAX_CONNECTIONS, files - OTHER_FILES)),
        respawn_failed_workers=True,
        workers_kill_timeout=server.stop_timeout,
        log_level=LogLevels.error,  # its warnings advise on threads, which are ours to choose
        log_dictconfig=_LOGGING,
    )
    granian.on_startup(_end_workers_that_start)
    granian.on_startup(announce)
    granian.serve(target_loader=worker, wrap_loader=False)


def _end_workers_that_start() -> None:
    """Have a worker end that is told to before it is ready.

    Until granian gives it handlers of its own a forked worker has those of the main process, which would only
    note the wish, in the worker's copy of a flag that nobody reads there.
    """
    main = os.getpid()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, partial(_stop, main, signal.getsignal(number)))


def _stop(main: int, stop_main: Any, number: int, frame: FrameType | None) -> None:
    if os.getpid() != main:
        raise SystemExit(0)
    stop_main(number, frame)


def open_as_many_as_allowed() -> int:
    """Raise the number of files that this process and its workers may open to what the system allows.

    Usual is a thousand, which one stranger without a key could hold alone, by connections that say nothing.
    """
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # "without limit" is not taken everywhere
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        usual = most
    return MAX_CONNECTIONS + OTHER_FILES if usual == resource.RLIM_INFINITY else usual


class Doorway:
    """A WSGI application that is told what stands behind it once the address it answers at is known."""

    def __init__(self) -> None:
        self.app: WSGIApplication = _nothing_yet

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the application does; 503 before there is one."""
        return self.app(environ, start_response)


def _nothing_yet(_: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    start_response("503 Service Unavailable", [("Retry-After", "1")])
    return []


class LocalServer:
    """An application served to this machine by a thread; close it, or use it as a context manager."""

    def __init__(self, app: WSGIApplication, port: int) -> None:
        self._server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_SilentHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.port}"

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


def on_a_free_port(start: Callable[[int], Started], wanted: int) -> Started:
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
        _try_to_listen("127.0.0.1", port)
    except (OSError, OverflowError):
        return False
    return True


def _try_to_listen(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family):
        pass
