"""Sign up by phone with only the standard library: what any server must do, in any language."""

from __future__ import annotations

import json
import os
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs
from urllib.request import HTTPRedirectHandler, Request, build_opener

OTP_URL = os.environ["OTP_URL"]
MAX_FORM_BYTES = 10_000
"""A proof has a few hundred bytes."""


class NoRedirect(HTTPRedirectHandler):
    """Follows no redirects: urllib would send the secret key to the redirect's target."""

    def redirect_request(self, *_: object) -> None:
        """Return no request, which turns the response into an error."""


OPENER = build_opener(NoRedirect)


def redeem(proof: str) -> str | None:
    """Return the phone number in a valid sign-up *proof*, else None."""
    headers = {"Authorization": f"Bearer {os.environ['OTP_SECRET_KEY']}", "Content-Type": "application/json"}
    body = json.dumps({"proof": proof, "purpose": "signup"}).encode()
    request = Request(f"{OTP_URL}/otp/redeem", body, headers)  # noqa: S310 - our own URL
    try:
        with OPENER.open(request, timeout=8) as response:
            phone: str = json.load(response)["phone"]
            return phone
    except OSError:  # rejected or unreachable: all errors of urllib are OSErrors
        return None


class Site(BaseHTTPRequestHandler):
    """Two pages: the form and the result."""

    timeout = 10  # seconds to wait for a request body

    def do_GET(self) -> None:
        """Show the form."""
        text = Path(__file__).with_name("index.html").read_text("utf-8")
        key = os.environ["OTP_PUBLISHABLE_KEY"]
        self.show(200, text.replace("OTP_URL", escape(OTP_URL)).replace("OTP_KEY", escape(key)))

    def do_POST(self) -> None:
        """Sign up the owner of the phone in the proof, and ignore all other fields of the form."""
        if not self.is_same_origin():
            return self.show(403, "<p>The form came from another site.</p>")
        body = self.body()
        if body is None:
            return self.show(400, "<p>The form is not valid.</p>")
        form = parse_qs(body.decode("utf-8", "replace"))
        phone = redeem(form.get("proof", [""])[0])
        if phone is None:
            return self.show(422, '<p role="alert">Please <a href="/">verify your phone</a> again.</p>')
        return self.show(200, f"<h1>Welcome</h1><p>You signed up with <strong>{escape(phone)}</strong>.</p>")

    def is_same_origin(self) -> bool:
        """Check Sec-Fetch-Site, or Origin for browsers without it: they send Origin with every POST."""
        site, host = self.headers.get("Sec-Fetch-Site"), self.headers.get("Host")
        if site is not None:
            return site == "same-origin"
        return self.headers.get("Origin") in (f"https://{host}", f"http://{host}")

    def body(self) -> bytes | None:
        """Return the form's bytes, or None if it is too long or its length does not match."""
        lengths = self.headers.get_all("Content-Length", [])
        if (
            len(lengths) != 1
            or not (lengths[0].isascii() and lengths[0].isdigit())
            or int(lengths[0][:9]) > MAX_FORM_BYTES
        ):
            return None
        try:
            body = self.rfile.read(int(lengths[0]))
        except TimeoutError:
            return None
        return body if len(body) == int(lengths[0]) else None

    def show(self, status: int, text: str) -> None:
        """Send a page."""
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    print(f"http://localhost:{port}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", port), Site).serve_forever()
