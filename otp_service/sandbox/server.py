"""Runs the sandbox on a port; touches a socket, and logs no request.

The query of a V3 request contains the code, so that an access log would show it.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from otp_service.local_hosts import LocalHosts
from otp_service.sandbox.app import create_sandbox
from otp_service.sandbox.clock import Clock, utc_now
from otp_service.sandbox.config import SandboxConfig
from otp_service.sandbox.inbox import Inbox
from otp_service.sandbox.state import SandboxState

#: How long `close` may take, in seconds.
_POLL = 0.05

_BACKLOG = 128

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it is replaced.


class _SilentHandler(WSGIRequestHandler):
    """Logs nothing, as request lines hold codes."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the base class's name.
        """Drop the line."""


class SandboxServer:
    """A sandbox that listens already; `close` it, or use it as a context manager."""

    def __init__(self, server: BaseWSGIServer, desk: SandboxState) -> None:
        self._server = server
        self._desk = desk
        self._thread = threading.Thread(target=server.serve_forever, args=(_POLL,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the API is, without a slash at the end."""
        host = _EVERYWHERE.get(self._server.host, self._server.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def port(self) -> int:
        """The port it listens on, also when port 0 was asked for."""
        return self._server.port

    @property
    def inbox_url(self) -> str:
        """Where the inbox page is."""
        return f"{self.url}/inbox"

    @property
    def inbox(self) -> Inbox:
        """Every SMS that it has sent."""
        return self._desk.inbox

    def wait(self) -> None:
        """Block until somebody calls `close`."""
        self._thread.join()

    def close(self) -> None:
        """Stop listening and posting reports; calls that are still answered late are left to end alone."""
        self._desk.reports.close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start_sandbox(
    config: SandboxConfig,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    clock: Clock = utc_now,
    pause: Callable[[float], None] = time.sleep,
) -> SandboxServer:
    """Start a sandbox in threads of its own.

    Args:
        config: The account that it plays.
        host: The address to listen on. Requests for another host than this one and loopback get a 403.
        port: The port to listen on, 0 for any free one.
        clock: Tells the time.
        pause: Waits so many seconds; used by the magic numbers that answer late.

    Raises:
        OSError: The port is taken, or the address is not this machine's.
    """
    app = create_sandbox(config, clock, pause)
    guarded = LocalHosts(app, host)
    # By itself the server would print an error and exit.
    with _listening(host, port) as listener:
        server = make_server(
            host, port, guarded, threaded=True, request_handler=_SilentHandler, fd=listener.fileno()
        )
    return SandboxServer(server, app.extensions["sandbox"])


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def run_sandbox(
    config: SandboxConfig,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    clock: Clock = utc_now,
    announce: Callable[[SandboxServer], None] | None = None,
) -> None:
    """Run a sandbox until Ctrl-C; *announce* is called once it listens."""
    with start_sandbox(config, host=host, port=port, clock=clock) as server:
        if announce is not None:
            announce(server)
        try:
            server.wait()
        except KeyboardInterrupt:
            return
