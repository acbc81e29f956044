"""A scripted OTP service: a real HTTP server that sends the given responses and records the requests."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Answer = Callable[["Handler"], None]
"""Responds to one request, or deliberately does not."""


@dataclass
class Call:
    """One received request."""

    path: str
    headers: dict[str, str]
    body: bytes
    peer: int = 0
    """The port of the client, which identifies the connection."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class ScriptedService:
    """The server and its received *calls*. Each gets the next of *answers*, or *always* if that is set."""

    scheme: str = "http"
    port: int = 0
    answers: deque[Answer] = field(default_factory=deque)
    always: Answer | None = None
    calls: list[Call] = field(default_factory=list)
    gets: int = 0
    """The number of GET requests. A client that followed a redirect would send one."""
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def will(self, *answers: Answer) -> None:
        """Add *answers* for the next calls."""
        self.answers.extend(answers)


class Handler(BaseHTTPRequestHandler):
    """Records the request, then uses the next answer."""

    protocol_version = "HTTP/1.1"
    script: ScriptedService

    call: Call

    def do_GET(self) -> None:
        self.script.gets += 1
        says(404)(self)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.call = Call(self.path, dict(self.headers), body, self.client_address[1])
        self.script.calls.append(self.call)
        answer = self.script.always or self.script.answers.popleft()
        answer(self)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def says(status: int, body: object = None, **headers: str) -> Answer:
    """Answer with *status* and *body*: JSON, or bytes as they are."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if status != 204:
            handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def redeems(handler: Handler) -> None:
    """Answer a redeem call as the service does: with the claims of the proof and the request id."""
    payload = handler.call.json["proof"].partition(".")[0]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    body = {
        "phone": claims["sub"],
        "purpose": claims["purpose"],
        "verification_id": claims["jti"],
        "client": claims["aud"],
        "verified_at": "2026-11-23T08:07:59Z",
        "amr": ["sms"],
    }
    says(200, body, X_Request_Id=handler.headers["X-Request-Id"])(handler)


def proof_of(verification_id: str, phone: str, purpose: str = "login", client: str = "shop") -> str:
    """Return a text with the claims of a proof and no valid signature."""
    claims = {"aud": client, "purpose": purpose, "sub": phone, "jti": verification_id}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{payload}.time.signature"


def problem(status: int, code: str, **members: object) -> Answer:
    """Answer with a problem document, as the service does."""
    body = {
        "type": f"about:{code}",
        "title": f"What {code} means.",
        "status": status,
        "code": code,
        "request_id": "req-1",
        **members,
    }
    return says(status, body, Content_Type="application/problem+json")


def hangs(handler: Handler) -> None:
    """Never answer."""
    handler.script.stopped.wait(5)
    handler.close_connection = True


def resets(handler: Handler) -> None:
    """Reset the connection instead of answering."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    closes(handler)


def closes(handler: Handler) -> None:
    """Close the connection instead of answering."""
    handler.close_connection = True
    handler.connection.close()


def breaks_off(handler: Handler) -> None:
    """Announce a body, send its beginning, and close the connection."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"phone": "+86')
    handler.close_connection = True


def chatters(handler: Handler) -> None:
    """Answer with something that is not HTTP."""
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    handler.close_connection = True


@contextmanager
def serving(certificate: Path | None = None, key: Path | None = None) -> Iterator[ScriptedService]:
    """Run a scripted service until the block ends; with a *certificate*, it uses TLS."""
    script = ScriptedService(scheme="https" if certificate else "http")
    handler = type("BoundHandler", (Handler,), {"script": script})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        script.port = server.server_port
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate, key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield script
        finally:
            script.stopped.set()
            server.shutdown()
            thread.join()
