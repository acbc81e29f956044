"""A raw socket server that handles each request with a function, and so can misbehave in any way."""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

Behave = Callable[[socket.socket], None]
"""Handles one request on its connection."""

OK = b'{"Message":"OK","RequestId":"F655A8D5-B967","BizId":"900619746936498440^0","Code":"OK"}'


class WireServer:
    """Listens on a free port and records its `requests` and the number of `connections`."""

    def __init__(self, behave: Behave) -> None:
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.requests: list[bytes] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def connections(self) -> int:
        return len(self._threads)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.append(connection)
        with suppress(OSError), connection:
            while request := read_request(connection):
                self.requests.append(request)
                self._behave(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


class TlsWireServer(WireServer):
    """A WireServer with TLS."""

    def __init__(self, behave: Behave, certificate: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        super().__init__(behave)

    @property
    def url(self) -> str:
        return super().url.replace("http:", "https:")

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            super()._serve(self._context.wrap_socket(connection, server_side=True))


def make_certificate(folder: Path) -> Path:
    """Write `key.pem` and `cert.pem` for 127.0.0.1, which no machine trusts, to *folder*; return *folder*."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-batch"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def read_request(connection: socket.socket) -> bytes:
    """Return the next request on *connection*, or nothing if the client has closed it."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    sizes = (int(h[15:]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length:"))
    length = next(sizes, 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def response(body: bytes, status: int = 200, *headers: str, length: int | None = None) -> bytes:
    """Return a response; *length* replaces the correct `Content-Length`."""
    lines = (
        f"HTTP/1.1 {status} Whatever",
        f"Content-Length: {len(body) if length is None else length}",
        *headers,
    )
    return "\r\n".join((*lines, "", "")).encode() + body


def answers(*data: bytes) -> Behave:
    """Respond to each request with *data*."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(b"".join(data))

    return behave


def in_turn(*behaviors: Behave) -> Behave:
    """Apply the behaviors to the requests in order."""
    remaining = list(behaviors)

    def behave(connection: socket.socket) -> None:
        remaining.pop(0)(connection)

    return behave


def hangs_up(connection: socket.socket) -> None:
    """Close the connection without a response."""
    connection.shutdown(socket.SHUT_RDWR)


def answers_and_hangs_up(*data: bytes) -> Behave:
    """Send *data*, then close the connection."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(b"".join(data))
        hangs_up(connection)

    return behave


def resets(*data: bytes) -> Behave:
    """Send *data*, then reset the connection."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(b"".join(data))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return behave


def stalls(connection: socket.socket) -> None:
    """Send nothing until the client gives up."""
    connection.recv(1)


def drips(data: bytes, every: float = 0.02, *, after: bytes = b"") -> Behave:
    """Send *after* at once, then one byte of *data* every *every* seconds."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(after)
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(every)

    return behave


def full_queue(stack: ExitStack) -> socket.socket:
    """Return a listener whose backlog is full, so that Linux drops further connections."""
    listener = stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    stack.enter_context(socket.create_connection(listener.getsockname()))
    return listener


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Resolve every name to *addresses*."""

    def getaddrinfo(_: str, port: int, *__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
