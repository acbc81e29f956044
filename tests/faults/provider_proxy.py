"""A proxy between the service and its SMS provider that injects faults."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from sms.wire import read_request

SECONDS = 30
"""Upper bound of all waits, for tests that fail before they release a request."""

Behavior = Callable[["Exchange"], None]
"""What the proxy does with one request."""


class Exchange:
    """One request in flight, and what a behavior can do with it."""

    def __init__(self, proxy: ProviderProxy, connection: socket.socket, request: bytes) -> None:
        self.proxy = proxy
        self.connection = connection
        self.request = request

    def forward(self) -> bytes:
        """Forward the request to the provider and return the answer."""
        with socket.create_connection(("127.0.0.1", self.proxy.provider_port), SECONDS) as provider:
            provider.sendall(self.request)
            return _read_answer(provider)

    def answer(self, data: bytes) -> None:
        self.connection.sendall(data)

    def hold(self) -> None:
        """Send nothing until the test sets `release`."""
        self.proxy.request_held.set()
        self.proxy.release.wait(SECONDS)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class ProviderProxy:
    """Listens on a free port and handles every request with *behavior*; *requests* counts them."""

    def __init__(self) -> None:
        self.provider_port = 0
        self.behavior: Behavior = pass_through
        self.requests = 0
        self.request_held = threading.Event()
        self.release = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def refuse(self) -> None:
        """Refuse all further connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            while request := read_request(connection):
                self.requests += 1
                self.behavior(Exchange(self, connection, request))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release.set()
        self.refuse()


# ── behaviors ──


def pass_through(exchange: Exchange) -> None:
    """Forward the request and the answer."""
    exchange.answer(exchange.forward())


def drop_request(exchange: Exchange) -> None:
    """Do not forward the request, and never answer."""
    exchange.hold()


def drop_answer(exchange: Exchange) -> None:
    """Forward the request, and never answer."""
    exchange.forward()
    exchange.hold()


def reset_during_answer(exchange: Exchange) -> None:
    """Forward the request, and reset the connection in the middle of the answer."""
    exchange.answer(exchange.forward()[:60])
    exchange.reset()


def truncate_answer(exchange: Exchange) -> None:
    """Forward the request, and close the connection before the end of the answer."""
    answer = exchange.forward()
    exchange.answer(answer[: len(answer) - 20])
    exchange.connection.close()


def reset_at_once(exchange: Exchange) -> None:
    """Do not forward the request, and reset the connection."""
    exchange.reset()


def forge_answer(data: bytes) -> Behavior:
    """Do not forward the request, and answer with *data*."""
    return lambda exchange: exchange.answer(data)


def _read_answer(connection: socket.socket) -> bytes:
    """Read one answer that has a `Content-Length`."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body
