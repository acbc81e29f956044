"""Sends HTTP requests byte for byte, including ones that no HTTP library would send."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit


def exchange_raw(url: str, request: bytes) -> bytes:
    """Send *request* to the server of *url*; return everything it sends until it closes the connection."""
    parts = urlsplit(url)
    answer = b""
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=30) as connection:
        connection.sendall(request)
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def status_of(answer: bytes) -> int:
    """Return the status of *answer*, which may be preceded by `100 Continue`."""
    return int(answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").split(b" ", 2)[1])
