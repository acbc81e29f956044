"""Sign up by phone with the standard library alone: what any server must do, in any language."""

from __future__ import annotations

import json
import os
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs
from urllib.request import HTTPRedirectHandler, Request, build_opener

OTP_URL = os.environ["OTP_URL"]
LIMIT = 10_000
"""Bytes of a form; a proof has a few hundred."""


class NoRedirect(HTTPRedirectHandler):
    """Follows nothing: urllib would send the secret key to wherever an answer points."""

    def redirect_request(self, *_: object) -> None:
        """Return no request, which makes the answer an error."""


OPENER = build_opener(NoRedirect)


def redeem(proof: str) -> str | None:
    """Return the phone that *proof* proves; None if it proves none for signing up, or nobody can tell."""
    headers = {"Authorization": f"Bearer {os.environ['OTP_SECRET_KEY']}", "Content-Type": "application/json"}
    body = json.dumps({"proof": proof, "purpose": "signup"}).encode()
    request = Request(f"{OTP_URL}/otp/redeem", body, headers)  # noqa: S310 - an address of ours
    try:
        with OPENER.open(request, timeout=8) as answer:
            phone: str = json.load(answer)["phone"]
            return phone
    except OSError:  # refused, or the service is not there: urllib's errors are all of this kind
        return None


class Site(BaseHTTPRequestHandler):
    """Two pages: the form, and what came of it. A body must come within so many seconds."""

    timeout = 10

    def do_GET(self) -> None:
        """Show the form."""
        text = Path(__file__).with_name("index.html").read_text("utf-8")
        key = os.environ["OTP_PUBLISHABLE_KEY"]
        self.show(200, text.replace("OTP_URL", escape(OTP_URL)).replace("OTP_KEY", escape(key)))

    def do_POST(self) -> None:
        """Sign up whoever holds the phone of the proof. What else the form says does not matter."""
        if not self.is_from_this_site():
            return self.show(403, "<p>That form was not ours.</p>")
        body = self.body()
        if body is None:
            return self.show(400, "<p>That was no form.</p>")
        form = parse_qs(body.decode("utf-8", "replace"))
        phone = redeem(form.get("proof", [""])[0])
        if phone is None:
            return self.show(422, '<p role="alert">Please <a href="/">verify your phone</a> once more.</p>')
        return self.show(200, f"<h1>Welcome</h1><p>You signed up with <strong>{escape(phone)}</strong>.</p>")

    def is_from_this_site(self) -> bool:
        """Tell what the browser says; one that does not know Sec-Fetch-Site sends Origin with every POST."""
        site, host = self.headers.get("Sec-Fetch-Site"), self.headers.get("Host")
        if site is not None:
            return site == "same-origin"
        return self.headers.get("Origin") in (f"https://{host}", f"http://{host}")

    def body(self) -> bytes | None:
        """Return the bytes of the form; None if it is too long, or not as long as it says."""
        said = self.headers.get_all("Content-Length", [])
        if len(said) != 1 or not (said[0].isascii() and said[0].isdigit()) or int(said[0][:9]) > LIMIT:
            return None
        try:
            body = self.rfile.read(int(said[0]))
        except TimeoutError:
            return None
        return body if len(body) == int(said[0]) else None

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
