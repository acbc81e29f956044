"""Runs the sandbox on a port.

Requests are not logged: the query string of a V3 request contains the code.
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
from otp_service.sandbox.config import Clock, SandboxConfig, utc_now
from otp_service.sandbox.inbox.messages import Inbox
from otp_service.sandbox.state import SandboxState

#: How often the server checks whether it was closed, in seconds.
_POLL = 0.05

_BACKLOG = 128

_WILDCARD_TO_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it is replaced.


class _SilentHandler(WSGIRequestHandler):
    """Logs nothing, because request lines contain codes."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the base class's name.
        """Drop the line."""


class SandboxServer:
    """A sandbox that is listening. Call `close`, or use it as a context manager."""

    def __init__(self, server: BaseWSGIServer, state: SandboxState) -> None:
        self._server = server
        self._state = state
        self._thread = threading.Thread(target=server.serve_forever, args=(_POLL,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The URL of the API, without a trailing slash."""
        host = _WILDCARD_TO_LOOPBACK.get(self._server.host, self._server.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def port(self) -> int:
        """The port in use, even if port 0 was requested."""
        return self._server.port

    @property
    def inbox_url(self) -> str:
        """The URL of the inbox page."""
        return f"{self.url}/inbox"

    @property
    def inbox(self) -> Inbox:
        """Every SMS that the sandbox has sent."""
        return self._state.inbox

    def wait(self) -> None:
        """Block until `close` is called."""
        self._thread.join()

    def close(self) -> None:
        """Stop listening and posting reports. Delayed responses that are still pending are not waited for."""
        self._state.reports.close()
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
    """Start a sandbox in background threads.

    Args:
        config: The simulated account.
        host: The address to listen on. Requests for hosts other than this one and loopback get a 403.
        port: The port to listen on; 0 selects a free one.
        clock: Returns the current time.
        pause: Sleeps for a number of seconds; used by the magic numbers that respond late.

    Raises:
        OSError: The port is in use, or the address does not belong to this machine.
    """
    app = create_sandbox(config, clock, pause)
    guarded = LocalHosts(app, host)
    # If make_server bound the port itself, it would print an error and exit on failure.
    with _listen(host, port) as listener:
        server = make_server(
            host, port, guarded, threaded=True, request_handler=_SilentHandler, fd=listener.fileno()
        )
    return SandboxServer(server, app.extensions["sandbox"])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def run_sandbox(
    config: SandboxConfig,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    clock: Clock = utc_now,
    on_started: Callable[[SandboxServer], None] | None = None,
) -> None:
    """Run a sandbox until Ctrl-C. *on_started* is called once it listens."""
    with start_sandbox(config, host=host, port=port, clock=clock) as server:
        if on_started is not None:
            on_started(server)
        try:
            server.wait()
        except KeyboardInterrupt:
            return
