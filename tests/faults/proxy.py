"""A proxy between service and provider that treats each request as badly as a test wants."""

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
"""Nothing hangs for longer, whatever a test forgets."""

Treat = Callable[["Exchange"], None]


class Exchange:
    """One request on its way: it can be passed on, held, answered by a lie, or torn down."""

    def __init__(self, proxy: Proxy, connection: socket.socket, request: bytes) -> None:
        self.proxy = proxy
        self.connection = connection
        self.request = request

    def pass_on(self) -> bytes:
        """Let the provider act, and return its answer."""
        with socket.create_connection(("127.0.0.1", self.proxy.target), SECONDS) as provider:
            provider.sendall(self.request)
            return _read_answer(provider)

    def answer(self, data: bytes) -> None:
        self.connection.sendall(data)

    def hold(self) -> None:
        """Say nothing until the test lets go."""
        self.proxy.held.set()
        self.proxy.let_go.wait(SECONDS)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class Proxy:
    """Listens on a free port; *treat* decides about every request, *target* is the provider's port."""

    def __init__(self) -> None:
        self.target = 0
        self.treat: Treat = honestly
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
        """Take no connections from now on."""
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


def honestly(exchange: Exchange) -> None:
    exchange.answer(exchange.pass_on())


def swallowed(exchange: Exchange) -> None:
    """The provider never hears of it, and the caller nothing."""
    exchange.hold()


def unanswered(exchange: Exchange) -> None:
    """The provider acts; its answer never comes."""
    exchange.pass_on()
    exchange.hold()


def torn(exchange: Exchange) -> None:
    """The provider acts; the connection is reset within its answer."""
    exchange.answer(exchange.pass_on()[:60])
    exchange.reset()


def half(exchange: Exchange) -> None:
    """The provider acts; half of its answer comes, and the connection ends."""
    answer = exchange.pass_on()
    exchange.answer(answer[: len(answer) - 20])
    exchange.connection.close()


def reset_at_once(exchange: Exchange) -> None:
    """The provider never hears of it; the connection is reset."""
    exchange.reset()


def lying(data: bytes) -> Treat:
    """The provider never hears of it; the answer is *data*."""
    return lambda exchange: exchange.answer(data)


def _read_answer(connection: socket.socket) -> bytes:
    """Read one answer that says how long it is."""
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
