"""Pages in the system's Chromium: their requests, their errors, and their accessibility by axe-core."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from support.redis_servers import skip_or_fail

ROOT = Path(__file__).parents[2]
AXE = ROOT / "tests" / "sdks" / "node_modules" / "axe-core" / "axe.min.js"
BINARIES = ["chromium-headless-shell", "chromium", "chromium-browser"]
"""The first that is installed is used. The headless shell opens a page in a third of the time."""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_MS = 30_000
"""Timeout of every wait in a page; generous, because the machine may be busy."""


@dataclass
class BrowserLog:
    """The URLs that pages requested, and their uncaught errors."""

    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def attach(self, context: BrowserContext) -> None:
        context.on("request", lambda request: self.requests.append(request.url))
        context.on("weberror", lambda error: self.errors.append(str(error.error)))


@dataclass(frozen=True)
class Dev:
    """The URLs and keys that a running `otp-service dev` prints."""

    service_url: str
    sandbox_url: str
    inbox_url: str
    secret_key: str
    publishable_key: str

    def inbox(self, phone: str) -> list[dict[str, Any]]:
        """Return the SMS to *phone* (E.164), the newest first."""
        with urlopen(f"{self.inbox_url}.json?phone={quote(phone)}", timeout=20) as answer:  # noqa: S310 - ours
            messages: list[dict[str, Any]] = json.load(answer)
        return messages

    def code(self, phone: str) -> str:
        """Return the code of the newest SMS to *phone*."""
        return str(self.inbox(phone)[0]["code"])


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the system's Chromium until the block ends."""
    binary = next(filter(None, map(shutil.which, BINARIES)), None)
    if binary is None:
        skip_or_fail("chromium is not installed")
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(browser: Browser, **options: Any) -> Iterator[tuple[Page, BrowserLog]]:
    """Open a page in its own browser context with *options*; an uncaught error in the page fails the test."""
    browser_log = BrowserLog()
    context = browser.new_context(**options)
    context.set_default_timeout(TIMEOUT_MS)
    browser_log.attach(context)
    try:
        yield context.new_page(), browser_log
    finally:
        context.close()
    assert browser_log.errors == []


DEV = (sys.executable, "-m", "otp_service", "dev", "--json", "--port", "0", "--sandbox-port", "0")


@contextmanager
def running_dev(*arguments: str, command: Sequence[str] = DEV) -> Iterator[Dev]:
    """Run `otp-service dev` on free ports until the block ends."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTP_SERVICE")}
    with subprocess.Popen(
        [*command, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            yield Dev(**json.loads(process.stdout.readline()))
        finally:
            process.terminate()
            process.wait(20)


def accessibility_violations(page: Page) -> list[str]:
    """Return the violations that axe-core finds in *page*, including its frames and shadow roots."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_axe())
    results = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {node['html']}\n{node['failureSummary']}"
        for violation in results["violations"]
        for node in violation["nodes"]
    ]


@cache
def _axe() -> str:
    if not AXE.exists():
        skip_or_fail("axe-core is not installed: npm ci --prefix tests/sdks")
    return AXE.read_text(encoding="utf-8")
