"""A scripted OTP service: a real HTTP server that answers as a test tells it to and records what it got."""

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


@dataclass
class Call:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes
    peer: int = 0
    """The port of the other side, which tells connections apart."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Scripted:
    """The server: *answers* still to give, in order, or one for *always*, and the *calls* that came."""

    scheme: str = "http"
    port: int = 0
    answers: deque[Answer] = field(default_factory=deque)
    always: Answer | None = None
    calls: list[Call] = field(default_factory=list)
    gets: int = 0
    """The number of GET requests. A client that followed a redirect would send one."""
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def will(self, *answers: Answer) -> None:
        self.answers.extend(answers)


class Handler(BaseHTTPRequestHandler):
    """Records the request, then plays the next answer."""

    protocol_version = "HTTP/1.1"
    script: Scripted

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
        """Say nothing."""


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
    """Answer a redeem as the service does: with what the proof says, and the id of the call."""
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
    handler.script.ended.wait(5)
    handler.close_connection = True


def resets(handler: Handler) -> None:
    """Tear the connection down instead of answering."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    closes(handler)


def closes(handler: Handler) -> None:
    """End the connection instead of answering."""
    handler.close_connection = True
    handler.connection.close()


def breaks_off(handler: Handler) -> None:
    """Promise a body and send the beginning of it."""
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
def serving(certificate: Path | None = None, key: Path | None = None) -> Iterator[Scripted]:
    """Run a scripted service until the block ends; with a *certificate* over TLS."""
    script = Scripted(scheme="https" if certificate else "http")
    bound = type("BoundHandler", (Handler,), {"script": script})
    with ThreadingHTTPServer(("127.0.0.1", 0), bound) as server:
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
            script.ended.set()
            server.shutdown()
            thread.join()
