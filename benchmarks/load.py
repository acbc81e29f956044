"""A cheap load generator: prebuilt requests over keep-alive connections, one thread for each."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Result:
    """The result of one run: requests per second, sorted latencies in ms, and the count of each status.

    *answers* has each request with the body of its response.
    """

    rps: float
    latencies: list[float]
    statuses: dict[int, int]
    answers: list[tuple[bytes, bytes]]

    def percentile(self, share: float) -> float:
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))]


def post(url: str, body: dict[str, object], key: str) -> bytes:
    """Return the bytes of a POST request."""
    parts = urlsplit(url)
    text = json.dumps(body).encode()
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    )
    return head.encode() + text


def run(url: str, requests: Sequence[bytes], connections: int) -> Result:
    """Send each of *requests* once, distributed over *connections*."""
    address = (urlsplit(url).hostname or "127.0.0.1", urlsplit(url).port or 80)
    shares = [_Share(address, requests[i::connections]) for i in range(connections)]
    started = time.perf_counter()
    for share in shares:
        share.start()
    for share in shares:
        share.join()
    seconds = time.perf_counter() - started
    statuses: dict[int, int] = {}
    for share in shares:
        for status in share.statuses:
            statuses[status] = statuses.get(status, 0) + 1
    latencies = sorted(value for share in shares for value in share.latencies)
    answers = [answer for share in shares for answer in share.answers]
    return Result(len(requests) / seconds, latencies, statuses, answers)


def check(name: str, result: Result) -> None:
    """Check that all calls of *result* succeeded.

    Raises:
        SystemExit: some failed, so the measurement is invalid.
    """
    if set(result.statuses) - {200, 201}:
        raise SystemExit(f"{name}: {result.statuses}")


class _Share(threading.Thread):
    def __init__(self, address: tuple[str, int], requests: Sequence[bytes]) -> None:
        super().__init__()
        self._address = address
        self._requests = requests
        self.latencies: list[float] = []
        self.statuses: list[int] = []
        self.answers: list[tuple[bytes, bytes]] = []

    def run(self) -> None:
        with socket.create_connection(self._address, timeout=30) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for request in self._requests:
                started = time.perf_counter()
                sock.sendall(request)
                status, body = _read_answer(sock)
                self.latencies.append((time.perf_counter() - started) * 1000)
                self.statuses.append(status)
                self.answers.append((request, body))


def _read_answer(sock: socket.socket) -> tuple[int, bytes]:
    data = sock.recv(65536)
    while b"\r\n\r\n" not in data:
        data += _more(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    length = _content_length(head)
    while len(body) < length:
        body += _more(sock)
    return int(head[9:12]), body


def _more(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0
