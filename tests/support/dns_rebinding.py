"""What a browser sends when a foreign name has been made to lead to this machine, and its siblings."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

LOOPBACK = (
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


def lines(*hosts: str) -> str:
    """The header lines for *hosts*."""
    return "".join(f"Host: {host}\r\n" for host in hosts)


def status(url: str, target: str = "/", headers: str = "", method: str = "GET") -> int:
    """The status of the answer to a request with these *headers*, in which `{port}` is the server's."""
    return int(answer(url, target, headers, method).split(b" ", 2)[1])


def answer(url: str, target: str = "/", headers: str = "", method: str = "GET") -> bytes:
    """The whole answer, as `status` asks for it."""
    port = urlsplit(url).port or 80
    text = f"{method} {target} HTTP/1.1\r\n{headers.format(port=port)}Content-Length: 0\r\n"
    with socket.create_connection((urlsplit(url).hostname or "", port), timeout=10) as connection:
        connection.sendall(f"{text}Connection: close\r\n\r\n".encode())
        received = b""
        while part := connection.recv(65536):
            received += part
    return received
