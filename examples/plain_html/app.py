"""Sign up by phone with the standard library alone: what any server must do, in any language."""

from __future__ import annotations

import json
import os
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs
from urllib.request import Request, urlopen

OTP_URL = os.environ["OTP_URL"]
LIMIT = 10_000
"""Bytes of a form; a proof has a few hundred."""


def redeem(proof: str) -> str | None:
    """Return the phone that *proof* proves; None if it proves none for signing up, or nobody can tell."""
    headers = {"Authorization": f"Bearer {os.environ['OTP_SECRET_KEY']}", "Content-Type": "application/json"}
    body = json.dumps({"proof": proof, "purpose": "signup"}).encode()
    request = Request(f"{OTP_URL}/otp/redeem", body, headers)  # noqa: S310 - an address of ours
    try:
        with urlopen(request, timeout=8) as answer:  # noqa: S310 - as above
            phone: str = json.load(answer)["phone"]
            return phone
    except OSError:  # refused, or the service is not there: urllib's errors are all of this kind
        return None


class Site(BaseHTTPRequestHandler):
    """Two pages: the form, and what came of it."""

    def do_GET(self) -> None:
        """Show the form."""
        text = Path(__file__).with_name("index.html").read_text("utf-8")
        key = os.environ["OTP_PUBLISHABLE_KEY"]
        self.show(200, text.replace("OTP_URL", escape(OTP_URL)).replace("OTP_KEY", escape(key)))

    def do_POST(self) -> None:
        """Sign up whoever holds the phone of the proof. What else the form says does not matter."""
        if self.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return self.show(403, "<p>That form was not ours.</p>")
        length = max(0, min(int(self.headers.get("Content-Length", 0)), LIMIT))
        form = parse_qs(self.rfile.read(length).decode("utf-8", "replace"))
        phone = redeem(form.get("proof", [""])[0])
        if phone is None:
            return self.show(422, '<p role="alert">Please <a href="/">verify your phone</a> once more.</p>')
        return self.show(200, f"<h1>Welcome</h1><p>You signed up with <strong>{escape(phone)}</strong>.</p>")

    def show(self, status: int, text: str) -> None:
        """Answer with a page."""
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    print(f"http://localhost:{port}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", port), Site).serve_forever()
