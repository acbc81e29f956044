"""An HTTP server that receives reports. It records the requests and sends scripted responses."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.waiting import wait_until

ACCEPT = (200, b'{"code":0,"msg":"ok"}')


@dataclass
class Receiver:
    """The recorded requests, and the next responses. After *responses* is used up, it responds `ACCEPT`."""

    url: str = ""
    posts: list[list[dict[str, Any]]] = field(default_factory=list)
    gets: int = 0
    types: list[str] = field(default_factory=list)
    responses: list[Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=list)

    def wait_for(self, posts: int) -> None:
        """Wait for a number of posts, and a moment longer to detect further ones."""
        wait_until(lambda: len(self.posts) >= posts)
        time.sleep(0.05)
        assert len(self.posts) == posts


def response(status: int, body: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return a function that sends this response."""

    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return write


def late(handler: BaseHTTPRequestHandler) -> None:
    """Accept the reports, but only after 0.9 seconds."""
    time.sleep(0.9)
    response(*ACCEPT)(handler)


def slow(handler: BaseHTTPRequestHandler) -> None:
    """Send each byte in time, but the whole response too late."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(ACCEPT[1])))
    handler.end_headers()
    for byte in ACCEPT[1]:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        time.sleep(0.1)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run the server until the block ends."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            receiver.gets += 1
            self._respond()

        def do_POST(self) -> None:
            receiver.types.append(str(self.headers["Content-Type"]))
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.posts.append(json.loads(body))
            self._respond()

        def _respond(self) -> None:
            write = receiver.responses.pop(0) if receiver.responses else response(*ACCEPT)
            try:
                write(self)
            except OSError:
                return  # The sandbox closed the connection.

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
