"""Pages in the system's Chromium: what they asked for, what went wrong on them, and what axe-core says."""

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
"""The shell has the same engine without the windows: a page there costs a third."""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT = 30_000
"""Milliseconds that a page may take for anything: a machine may be busy."""


@dataclass
class Witness:
    """What happened in a browser: every address that was asked for, every error of a page."""

    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        context.on("request", lambda request: self.requests.append(request.url))
        context.on("weberror", lambda error: self.errors.append(str(error.error)))


@dataclass(frozen=True)
class Dev:
    """What `otp-service dev` has started."""

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
    expect.set_options(timeout=WAIT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[tuple[Page, Witness]]:
    """Open a page in a context of its own, made with *options*; an error of the page fails the test."""
    witness = Witness()
    context = browser.new_context(**options)
    context.set_default_timeout(WAIT)
    witness.watch(context)
    try:
        yield context.new_page(), witness
    finally:
        context.close()
    assert witness.errors == []


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


def complaints(page: Page) -> list[str]:
    """Return what axe-core finds wrong with *page*, in all its frames and shadow roots."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_axe())
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {node['html']}\n{node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


@cache
def _axe() -> str:
    if not AXE.exists():
        skip_or_fail("axe-core is not installed: npm ci --prefix tests/sdks")
    return AXE.read_text(encoding="utf-8")
