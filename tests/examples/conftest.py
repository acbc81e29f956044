"""Runs each example in its own process, with one `otp-service dev` that all their pages can call."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
import requests
from support.chromium import Dev, running_dev
from support.deployment import new_phone, post
from support.nodejs import ROOT, node, package
from support.redis_servers import free_port

EXAMPLES = ("flask_login", "django_signup", "fastapi", "express", "plain_html")


@dataclass(frozen=True)
class Example:
    """A running example, and the service that it calls."""

    name: str
    url: str
    dev: Dev


class Elements(HTMLParser):
    """The names and attributes of a page's elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


@dataclass
class Visitor:
    """A user of an example, with a phone and a browser session."""

    example: Example
    phone: str = field(default_factory=new_phone)
    browser: requests.Session = field(default_factory=requests.Session)

    def open_page(self) -> str:
        """Return the text of the page."""
        return self._text(self.browser.get(self.example.url, timeout=30))

    def verify(self, purpose: str = "") -> str:
        """Verify the phone as the widget in the page does, and return the proof."""
        page = Elements(self.open_page())
        (widget,) = page.named("otp-verify")
        sources = [script["src"] for script in page.named("script")]
        dev = self.example.dev

        assert f"{dev.service_url}/otp/widget.js" in sources
        assert "phone" not in [field.get("name") for field in page.named("input")]
        headers = {"Authorization": f"Bearer {widget['publishable-key']}", "Origin": self.example.url}
        body = {"phone": self.phone, "purpose": purpose or widget["purpose"]}
        opened = post(f"{dev.service_url}/otp/request", body, **headers).body
        verify_body = {
            "phone": self.phone,
            "verification_id": opened["verification_id"],
            "code": dev.code(self.phone),
        }
        return str(post(f"{dev.service_url}/otp/verify", verify_body, **headers).body["proof"])

    def submit(self, proof: str, headers: dict[str, str] | None = None, **more: str) -> requests.Response:
        """Submit *proof* as the page does, with the additional fields *more*."""
        request_headers = {"Origin": self.example.url} if headers is None else headers
        if self.example.name == "fastapi":
            return self.browser.post(
                f"{self.example.url}/api/login",
                json={"proof": proof, **more},
                headers=request_headers,
                timeout=30,
            )
        page = Elements(self.open_page())
        hidden = {field["name"]: field.get("value", "") for field in page.named("input") if "name" in field}
        action = page.named("form")[0].get("action", "/")
        fields = {**hidden, "name": "Mei", "proof": proof, **more}
        return self.browser.post(
            f"{self.example.url}{action}", data=fields, headers=request_headers, timeout=30
        )

    def logged_in_phone(self) -> str | None:
        """Return the phone number that the site shows for this session, or None."""
        if self.example.name == "fastapi":
            phone: str | None = self.browser.get(f"{self.example.url}/api/me", timeout=30).json().get("phone")
            return phone
        return shown_phone(self.open_page())

    @staticmethod
    def _text(response: requests.Response) -> str:
        assert response.status_code == 200
        return response.text


def shown_phone(text: str) -> str | None:
    found = re.search(r"\+\d{6,15}", text)
    return found and found[0]


def start_command(name: str, directory: Path) -> list[str]:
    """Return the command that starts an example. A copy of a Node.js example uses the tests' packages."""
    folder = ROOT / "examples" / name
    if not (folder / "package.json").exists():
        return [sys.executable, str(folder / "app.py")]
    target = directory / name
    target.mkdir()
    (target / "package.json").symlink_to(folder / "package.json")
    for module, version in json.loads((folder / "package.json").read_text())["dependencies"].items():
        link = target / "node_modules" / module
        link.parent.mkdir(parents=True, exist_ok=True)
        is_here = version.startswith("file:")
        link.symlink_to((folder / version.removeprefix("file:")).resolve() if is_here else package(module))
    (target / "server.js").write_bytes(
        (folder / "server.js").read_bytes()
    )  # Node.js would resolve packages from the target of a symlink
    return [node(), str(target / "server.js")]


@contextmanager
def running_example(name: str, port: int, dev: Dev, directory: Path) -> Iterator[Example]:
    """Run an example until the block ends."""
    environment = {
        **os.environ,
        "OTP_URL": dev.service_url,
        "OTP_SECRET_KEY": dev.secret_key,
        "OTP_PUBLISHABLE_KEY": dev.publishable_key,
        "PORT": str(port),
    }
    log = directory / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            start_command(name, directory), env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        url = f"http://localhost:{port}"
        wait_for(url, process, log)
        yield Example(name, url, dev)
    finally:
        process.terminate()
        process.wait(20)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            requests.get(url, timeout=10)
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"the example did not start:\n{log.read_text()}")


Start = Callable[[str], Example]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start each example at most once, with a service that accepts the origins of all of them."""
    running: dict[str, Example] = {}
    ports = {name: free_port() for name in EXAMPLES}
    origins = [argument for port in ports.values() for argument in ("--origin", f"http://localhost:{port}")]
    with ExitStack() as stack:
        dev = stack.enter_context(running_dev(*origins))
        directory = tmp_path_factory.mktemp("examples")

        def start(name: str) -> Example:
            if name not in running:
                running[name] = stack.enter_context(running_example(name, ports[name], dev, directory))
            return running[name]

        yield start


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest, start: Start) -> Example:
    """Run the test for each example."""
    return start(request.param)


@pytest.fixture
def visitor(example: Example) -> Iterator[Visitor]:
    """A visitor of each example."""
    visitor = Visitor(example)
    with visitor.browser:
        visitor.browser.trust_env = False
        yield visitor
