"""DNS rebinding: requests whose Host header has a name that is not this machine's."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

LOOPBACK = (
    # Values of Host that mean this machine.
    "127.0.0.1",
    "127.0.0.1:{port}",
    "127.9.8.7",
    "localhost",
    "localhost:{port}",
    "LocalHost:{port}",
    "localhost.",
    "localhost.:{port}",
    "127.0.0.1.:{port}",
    "shop.localhost:{port}",
    "[::1]",
    "[::1]:{port}",
    "[0:0:0:0:0:0:0:1]:{port}",
)
FOREIGN = (
    # Values of Host that must be rejected.
    "evil.example",
    "evil.example:{port}",
    "EVIL.example.",
    "localhost.evil.example:{port}",
    "notlocalhost",
    "127.0.0.1.evil.example",
    "128.0.0.1:{port}",
    "192.168.1.7:{port}",
    "[2001:db8::1]:{port}",
    "[::1",
    "::1",
    "localhost:{port}:{port}",
    "evil.example@localhost",
    "localhost, evil.example",
    "",
)


def host_lines(*hosts: str) -> str:
    """Return a Host header line for each of *hosts*."""
    return "".join(f"Host: {host}\r\n" for host in hosts)


def status(url: str, target: str = "/", headers: str = "", method: str = "GET") -> int:
    """Send a request and return the status; `{port}` in *headers* is replaced by the server's port."""
    return int(answer(url, target, headers, method).split(b" ", 2)[1])


def answer(url: str, target: str = "/", headers: str = "", method: str = "GET") -> bytes:
    """Send the same request as `status` and return the whole response."""
    port = urlsplit(url).port or 80
    text = f"{method} {target} HTTP/1.1\r\n{headers.format(port=port)}Content-Length: 0\r\n"
    with socket.create_connection((urlsplit(url).hostname or "", port), timeout=10) as connection:
        connection.sendall(f"{text}Connection: close\r\n\r\n".encode())
        received = b""
        while part := connection.recv(65536):
            received += part
    return received
