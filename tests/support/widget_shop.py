"""A shop whose pages contain the widget, on another origin than the service and with a strict CSP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from playwright.sync_api import Locator, Page
from support.deployment import Deployment, running_service
from support.redis_servers import redis_binary, running

from otp_service.sandbox.config import SandboxConfig

PUBLISHABLE_KEY = "pk_0123456789abcdefghijklmnop"

PAGE = """<!doctype html>
<html lang="{lang}" dir="{direction}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Shop</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/shop.css">
<script type="module" src="{service}/otp/widget.js"></script>
</head>
<body>
<main>
<h1>Shop</h1>
<form method="post" action="/bought" id="order">
<otp-verify publishable-key="{key}" {attributes}></otp-verify>
<p id="below"><button>Buy</button></p>
</form>
</main>
</body>
</html>
"""
STYLE = """
html { background: light-dark(#fff, #121417); color: light-dark(#1b1f24, #edf0f3); }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 1rem auto; max-width: 24rem; padding: 0 1rem; }
otp-verify:not(:defined) { display: block; min-height: 15rem; }
"""


@dataclass
class Shop:
    """The pages, the forms that were *posted* to them, and the service that the widget calls."""

    service: Deployment
    url: str
    pages: dict[str, str]
    posted: list[dict[str, list[str]]] = field(default_factory=list)

    def visit(
        self, page: Page, attributes: str = 'purpose="login"', *, lang: str = "en", direction: str = "ltr"
    ) -> Widget:
        """Open a page whose widget has these *attributes*."""
        path = f"/{len(self.pages)}"
        self.pages[path] = PAGE.format(
            service=self.service.url,
            key=PUBLISHABLE_KEY,
            attributes=attributes,
            lang=escape(lang),
            direction=direction,
        )
        page.goto(self.url + path)
        return Widget(page)


class Widget:
    """A page object for the widget."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.host = page.locator("otp-verify")

    def part(self, name: str) -> Locator:
        return self.host.locator(f"[part~={name}]")

    @property
    def phone(self) -> Locator:
        return self.host.locator("#phone")

    @property
    def code(self) -> Locator:
        return self.host.locator("#code")

    @property
    def hint(self) -> Locator:
        """The text below the visible field."""
        return self.host.locator("form:not([inert]) .hint")

    @property
    def done(self) -> Locator:
        return self.host.locator("form:not([inert]) > [part~=done]")

    def reset(self) -> None:
        """Reset the widget as a reset of its form does."""
        self.host.evaluate("element => element.formResetCallback()")

    def send(self, phone: str) -> None:
        """Request a code as a user does, and wait until the widget asks for it."""
        self.phone.fill(phone)
        self.part("send").click()
        self.code.wait_for()

    def proof(self) -> str:
        """Return the proof that the form would submit, or an empty string."""
        return str(self.page.evaluate("new FormData(document.getElementById('order')).get('proof') ?? ''"))


def content_security_policy(service_url: str) -> str:
    return f"default-src 'self' {service_url}; img-src data:; object-src 'none'; base-uri 'none'"


@contextmanager
def open_shop(directory: Path, change: Callable[[str], str] = lambda text: text) -> Iterator[Shop]:
    """Run service and shop until the block ends; *change* edits the service's configuration."""
    pages: dict[str, str] = {}
    posted: list[dict[str, list[str]]] = []
    headers: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/shop.css":
                self.answer("text/css", STYLE)
            elif self.path.endswith(".js"):
                self.answer("text/javascript", pages.get(self.path, ""))
            else:
                self.answer("text/html; charset=utf-8", pages.get(self.path, ""))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            posted.append(parse_qs(body))
            self.answer("text/html; charset=utf-8", "<!doctype html><title>Bought</title>Bought.")

        def answer(self, media_type: str, text: str) -> None:
            self.send_response(200)
            for name, value in {**headers, "Content-Type": media_type}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

        def with_shop(text: str) -> str:
            key = f'publishable_key = "{PUBLISHABLE_KEY}"\norigins = ["{url}"]\n'
            text = text.replace("[clients.shop]\n", f"[clients.shop]\n{key}")
            # A starting browser slows down the whole machine, which must not look like a failure of Redis.
            text = text.replace("[redis]\n", "[redis]\nread_timeout = 5.0\n")
            text = text.replace("[purposes.signup]\n", '[purposes.signup]\ncode_type = "alnum6"\n')
            return change(text + GENEROUS_IP_LIMITS)

        try:
            with (
                running(redis_binary()) as redis,
                running_service(
                    redis, directory, change=with_shop, sandbox_config=without_flow_control
                ) as service,
            ):
                headers["Content-Security-Policy"] = content_security_policy(service.url)
                yield Shop(service, url, pages, posted)
        finally:
            server.shutdown()


def without_flow_control(config: SandboxConfig, _: int) -> SandboxConfig:
    """Disable the flow control of the sandbox; tests of it use a magic number."""
    return replace(config, flow_limits=())


GENEROUS_IP_LIMITS = """
[ip_limits]
sends_per_hour = 10000
sends_per_day = 10000
phones_per_day = 10000
misses_per_10_minutes = 100000
"""
"""All tests of a file use the same IP address."""
