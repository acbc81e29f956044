"""A proxy between service and provider that injects the faults that a test chooses."""

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
"""Upper bound for all waits, in case a test does not end them."""

Treat = Callable[["Exchange"], None]


class Exchange:
    """One request in flight: it can be forwarded, held, answered with a forged answer, or reset."""

    def __init__(self, proxy: Proxy, connection: socket.socket, request: bytes) -> None:
        self.proxy = proxy
        self.connection = connection
        self.request = request

    def pass_on(self) -> bytes:
        """Forward the request, and return the provider's answer."""
        with socket.create_connection(("127.0.0.1", self.proxy.target), SECONDS) as provider:
            provider.sendall(self.request)
            return _read_answer(provider)

    def answer(self, data: bytes) -> None:
        self.connection.sendall(data)

    def hold(self) -> None:
        """Send nothing until the test releases it."""
        self.proxy.held.set()
        self.proxy.let_go.wait(SECONDS)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class Proxy:
    """Listens on a free port; *treat* decides about every request, *target* is the provider's port."""

    def __init__(self) -> None:
        self.target = 0
        self.treat: Treat = pass_through
        self.seen = 0
        self.held = threading.Event()
        self.let_go = threading.Event()
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
                self.seen += 1
                self.treat(Exchange(self, connection, request))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go.set()
        self.refuse()


# ── treatments ──


def pass_through(exchange: Exchange) -> None:
    exchange.answer(exchange.pass_on())


def swallowed(exchange: Exchange) -> None:
    """The provider gets no request, and the caller no answer."""
    exchange.hold()


def unanswered(exchange: Exchange) -> None:
    """The provider gets the request; its answer is lost."""
    exchange.pass_on()
    exchange.hold()


def reset_in_answer(exchange: Exchange) -> None:
    """The provider gets the request; the connection is reset in the middle of the answer."""
    exchange.answer(exchange.pass_on()[:60])
    exchange.reset()


def truncated_answer(exchange: Exchange) -> None:
    """The provider gets the request; half of the answer arrives, then the connection is closed."""
    answer = exchange.pass_on()
    exchange.answer(answer[: len(answer) - 20])
    exchange.connection.close()


def reset_at_once(exchange: Exchange) -> None:
    """The provider gets no request; the connection is reset."""
    exchange.reset()


def forged_answer(data: bytes) -> Treat:
    """The provider gets no request; the answer is *data*."""
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
