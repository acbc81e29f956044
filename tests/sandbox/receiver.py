"""A real server that reports are posted to: it writes down what comes, and answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD = (200, b'{"code":0,"msg":"ok"}')


@dataclass
class Receiver:
    """What came, and what is answered: *answers* first, one each, then `GOOD`."""

    url: str = ""
    posts: list[list[dict[str, Any]]] = field(default_factory=list)
    gets: int = 0
    types: list[str] = field(default_factory=list)
    answers: list[Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=list)

    def wait_for(self, posts: int) -> None:
        """Wait until so many posts have come; a moment longer shows whether there are more."""
        wait_until(lambda: len(self.posts) >= posts)
        time.sleep(0.05)
        assert len(self.posts) == posts


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def answer(status: int, body: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return write


def late(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(0.9)
    answer(*GOOD)(handler)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """Each piece comes in time, the whole does not."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(GOOD[1])))
    handler.end_headers()
    for byte in GOOD[1]:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        time.sleep(0.1)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Listen until the block ends."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            receiver.gets += 1
            self._answer()

        def do_POST(self) -> None:
            receiver.types.append(str(self.headers["Content-Type"]))
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.posts.append(json.loads(body))
            self._answer()

        def _answer(self) -> None:
            write = receiver.answers.pop(0) if receiver.answers else answer(*GOOD)
            try:
                write(self)
            except OSError:
                return  # The sandbox had enough.

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/aliyun/reports/secret?x=1"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
