"""Python, JavaScript, HTML and CSS in README and docs run unchanged, with what their readers have."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, redirect
from playwright.sync_api import Browser, Page, expect
from standardwebhooks import Webhook, WebhookVerificationError
from support import chromium
from support.chromium import Dev
from support.deployment import new_phone
from support.doc_blocks import Block, blocks, blocks_to_run
from support.nodejs import ROOT, node
from support.python_clients import needs_httpx
from support.widget_shop import Widget

from otp_service import require_proof
from otp_service_client import OtpClient

IN_PYTHON = {"README.md": 1, "clients/python/README.md": 2, "docs/embedding.md": 2, "docs/webhook.md": 1}
IN_NODE = {"clients/js/README.md": 2}
IN_PAGES = {
    ("README.md", "html"): 1,
    ("docs/api.md", "js"): 1,
    ("docs/embedding.md", "html"): 2,
    ("docs/embedding.md", "js"): 2,
    ("docs/embedding.md", "css"): 2,
}


def the(document: str, *languages: str) -> list[str]:
    """Return the blocks of a document that must be run."""
    return [block.text for block in blocks_to_run(*languages) if block.document == document]


def count(found: list[Block]) -> dict[Any, int]:
    keys = [block.document for block in found]
    return {key: keys.count(key) for key in keys}


def test_every_program_has_its_test_here() -> None:
    in_pages = [(block.document, block.language) for block in blocks_to_run("js", "html", "css")]
    in_pages = [key for key in in_pages if key[0] not in IN_NODE]

    assert count(blocks_to_run("python")) == IN_PYTHON
    assert {key: in_pages.count(key) for key in in_pages} == IN_PAGES
    assert {name: len(the(name, "js")) for name in IN_NODE} == IN_NODE


@dataclass
class Site:
    """A page of the reader, and the requests of its forms and scripts."""

    url: str = ""
    html: str = ""
    sent: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(site.html)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            site.sent.append((self.path, body))
            self.answer("Welcome")

        def answer(self, text: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            with suppress(ConnectionError):  # a browser that leaves the page
                self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield site
        server.shutdown()


@pytest.fixture(scope="module")
def dev(site: Site) -> Iterator[Dev]:
    """A running service, as readers have one."""
    with chromium.running_dev("--origin", site.url) as dev:
        yield dev


@pytest.fixture
def otp(dev: Dev) -> Iterator[OtpClient]:
    with OtpClient(dev.service_url, dev.secret_key) as otp:
        yield otp


def proof_of(otp: OtpClient, dev: Dev, phone: str) -> str:
    sent = otp.request(phone, purpose="login")
    return otp.verify(phone, sent.verification_id, dev.code(phone)).proof


# ── Python ──


def test_example_of_the_readme_logs_in_the_redeemed_phone(
    dev: Dev, otp: OtpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone, logged_in = new_phone(), list[str]()
    monkeypatch.setenv("OTP_URL", dev.service_url)
    monkeypatch.setenv("OTP_SECRET_KEY", dev.secret_key)
    (text,) = the("README.md", "python")
    names: dict[str, Any] = {"proof": proof_of(otp, dev, phone), "log_in": logged_in.append}
    exec(text, names)  # noqa: S102 - our own text
    names["otp"].close()

    assert logged_in == [phone]


def test_server_example_uses_the_phone_of_the_proof(dev: Dev, otp: OtpClient) -> None:
    phone, other = new_phone(), new_phone()
    text, _ = the("docs/embedding.md", "python")
    names: dict[str, Any] = {"OTP_URL": dev.service_url, "OTP_SECRET_KEY": dev.secret_key}
    exec(text, names)  # noqa: S102 - as above
    form = {"proof": proof_of(otp, dev, phone), "phone": other}

    assert names["log_in"](form) == phone
    with pytest.raises(PermissionError):
        names["log_in"](form)
    names["otp"].close()


def test_view_that_handles_rejections_itself(dev: Dev, otp: OtpClient) -> None:
    """The docs show only the decorator; it is applied to a view of the previous block."""
    (decorator,) = [
        block.text
        for block in blocks("docs/own-flask-app.md")
        if block.first_line.startswith("@require_proof")
    ]
    app, phone = Flask(__name__), new_phone()
    names: dict[str, Any] = {"require_proof": require_proof, "redirect": redirect}
    names["otp"] = SimpleNamespace(redeem_for=lambda _: otp.redeem)
    exec(f"{decorator}\ndef login(phone):\n    return phone\n", names)  # noqa: S102 - as above
    app.post("/login")(names["login"])
    form = {"proof": proof_of(otp, dev, phone)}
    answers = [app.test_client().post("/login", data=form) for _ in range(2)]

    assert answers[0].text == phone
    assert (answers[1].status_code, answers[1].headers["Location"]) == (302, "/login?again")


class Typing(dict[str, Any]):
    """The fields of a form; the code is added when it has arrived."""

    def __init__(self, dev: Dev, **known: Any) -> None:
        super().__init__(known)
        self._dev = dev

    def __missing__(self, name: str) -> str:
        if name != "typed":
            raise KeyError(name)
        return self._dev.code(self["phone"])


def test_own_form_of_the_docs_ends_with_a_redeemed_phone(dev: Dev, otp: OtpClient) -> None:
    phone = new_phone()
    _, text = the("docs/embedding.md", "python")
    names = Typing(dev, otp=otp, phone=phone, address="203.0.113.7")
    exec(text, {}, names)  # noqa: S102 - as above

    assert names["redeemed"].phone == phone


@pytest.mark.parametrize("number", [0, 1], ids=["OtpClient", "AsyncOtpClient"])
def test_examples_in_the_readme_of_the_python_client_work(
    number: int, dev: Dev, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone, logged_in = new_phone(), list[str]()
    monkeypatch.setenv("OTP_URL", dev.service_url)
    monkeypatch.setenv("OTP_SECRET_KEY", dev.secret_key)
    text = the("clients/python/README.md", "python")[number].replace("13800138000", phone)
    names: dict[str, Any] = {
        "visitor_ip": "203.0.113.7",
        "entered_code": lambda: dev.code(phone),
        "log_in": logged_in.append,
    }
    if number == 1:
        needs_httpx()
    with ThreadPoolExecutor(1) as thread:  # Playwright's event loop may run in the main thread
        thread.submit(exec, text, names).result(60)
    if number == 0:
        names["otp"].close()

    assert logged_in == [phone]


def test_webhook_receiver_of_the_docs_verifies_signatures() -> None:
    secret = "whsec_" + "c2VjcmV0" * 4
    (text,) = the("docs/webhook.md", "python")
    names: dict[str, Any] = {"SECRET": secret}
    exec(text, names)  # noqa: S102 - as above
    sent = Webhook(secret)
    now, body = datetime.now(UTC), '{"type": "otp.send"}'
    headers = {
        "webhook-id": "send_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": sent.sign("send_1", now, body),
    }
    names["otp"](SimpleNamespace(body=body, headers=headers))
    with pytest.raises(WebhookVerificationError):
        names["otp"](SimpleNamespace(body=body + " ", headers=headers))


# ── Node.js ──


def run_in_node(dev: Dev, text: str, directory: Path) -> str:
    """Run a module in which `typed` returns the code in the inbox."""
    there = directory / "node_modules" / "@otp-service" / "client"
    there.parent.mkdir(parents=True, exist_ok=True)
    if not there.exists():
        there.symlink_to(ROOT / "clients" / "js")
    (directory / "program.js").write_text(text)
    (directory / "package.json").write_text('{"type": "module"}')
    variables = {"OTP_URL": dev.service_url, "OTP_SECRET_KEY": dev.secret_key}
    result = subprocess.run(
        [node(), "program.js"],
        cwd=directory,
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def reading(dev: Dev, phone: str) -> str:
    inbox = f"{dev.inbox_url}.json?phone={phone.replace('+', '%2B')}"
    return f'const typed = async () => (await (await fetch("{inbox}")).json())[0].code;\n'


def test_examples_in_the_readme_of_the_javascript_client_work(dev: Dev, tmp_path: Path) -> None:
    calls, errors = the("clients/js/README.md", "js")
    mine, given = "+8613800138000", 'const clientIp = "203.0.113.7";\n'
    output = run_in_node(dev, given + reading(dev, mine) + calls + "console.log(phone);\n", tmp_path)
    assert output == f"{mine}\n"

    other = new_phone()
    before = (
        'import { OtpClient, LimitError, WrongCode } from "@otp-service/client";\n'
        "const otp = new OtpClient(process.env.OTP_URL, process.env.OTP_SECRET_KEY);\n"
        f'const phone = "{other}";\n'
        'const { verificationId } = await otp.request(phone, { purpose: "login" });\n'
        + reading(dev, other)
        + 'const code = (await typed()) === "000000" ? "000001" : "000000";\n'
    )
    assert run_in_node(dev, before + errors, tmp_path) == "wrong, 4 attempts left\n"


# ── pages ──


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with chromium.chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with chromium.open_page(browser) as (page, _):
        yield page


def show(page: Page, dev: Dev, site: Site, html: str, *, style: str = "") -> None:
    """Open a page with *html*, in which keys and URL are replaced."""
    for key in ("pk_0123456789abcdefghijklmnop", "pk_…"):
        html = html.replace(f'"{key}"', f'"{dev.publishable_key}"')
    html = html.replace("https://otp.example.com", dev.service_url)
    site.html = f"<!doctype html><style>{style}</style>{html}"
    site.sent.clear()
    page.goto(site.url)


def type_phone_and_code(page: Page, dev: Dev, phone: str) -> None:
    widget = Widget(page)
    widget.send(phone)
    widget.code.fill(dev.code(phone))
    widget.done.wait_for()


@pytest.mark.browser
@pytest.mark.parametrize("document", ["README.md", "docs/embedding.md"])
def test_form_with_the_widget_sends_a_proof(
    document: str, page: Page, dev: Dev, site: Site, otp: OtpClient
) -> None:
    html = the(document, "html")[0]
    phone = new_phone()
    show(page, dev, site, html)
    type_phone_and_code(page, dev, phone)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("body")).to_have_text("Welcome", timeout=chromium.TIMEOUT_MS)
    ((path, form),) = site.sent
    name, _, proof = form.partition("=")

    assert (path, name) == ("/login", "proof")
    assert otp.redeem(proof, purpose="login").phone == phone


@pytest.mark.browser
def test_page_without_a_form_gets_the_proof_from_the_event(
    page: Page, dev: Dev, site: Site, otp: OtpClient
) -> None:
    html, script = the("docs/embedding.md", "html")[0], the("docs/embedding.md", "js")[0]
    phone = new_phone()
    show(page, dev, site, html + f"<script>{script}</script>")
    with page.expect_response("**/api/login"):
        type_phone_and_code(page, dev, phone)
    ((_, body),) = site.sent

    assert otp.redeem(json.loads(body)["proof"], purpose="login").phone == phone


@pytest.mark.browser
def test_style_of_the_docs_is_applied_to_the_widget(page: Page, dev: Dev, site: Site) -> None:
    html, style = the("docs/embedding.md", "html")[0], the("docs/embedding.md", "css")[0]
    show(page, dev, site, html, style=style)
    button = Widget(page).part("send")
    looks = button.evaluate(
        "e => { const s = getComputedStyle(e);"
        " return [s.backgroundColor, s.color, s.borderRadius, s.textTransform]; }"
    )
    assert looks == ["rgb(122, 31, 162)", "rgb(255, 255, 255)", "0px", "uppercase"]


@pytest.mark.browser
def test_page_of_the_docs_restarts_the_widget_after_a_rejection(page: Page, dev: Dev, site: Site) -> None:
    html, script = the("docs/embedding.md", "html")[0], the("docs/embedding.md", "js")[1]
    show(page, dev, site, html)
    type_phone_and_code(page, dev, new_phone())
    page.evaluate(script)

    expect(Widget(page).phone).to_be_visible()
    assert page.evaluate("new FormData(document.querySelector('form')).has('proof')") is False


@pytest.mark.browser
@pytest.mark.parametrize("runs", [True, False], ids=["module", "no module"])
def test_message_for_old_browsers_is_shown_if_the_module_does_not_run(
    page: Page, dev: Dev, site: Site, *, runs: bool
) -> None:
    """It is shown after some seconds, so that it does not flash while the module loads."""
    script, html = the("docs/embedding.md", "html")
    show(page, dev, site, (script if runs else "") + html, style=the("docs/embedding.md", "css")[1])
    words = page.get_by_text("Your browser is too old")
    if runs:
        expect(page.locator("otp-verify:defined").last).to_be_attached()
        expect(words).to_be_hidden()
    else:
        assert words.is_hidden()
        expect(words).to_be_visible(timeout=chromium.TIMEOUT_MS)


@pytest.mark.browser
def test_page_calls_the_service_itself(page: Page, dev: Dev, site: Site) -> None:
    (script,) = the("docs/api.md", "js")
    show(page, dev, site, "")
    status = page.evaluate(
        f"async ([URL, PUBLISHABLE_KEY, phone]) => {{ {script} return answer.status; }}",
        [dev.service_url, dev.publishable_key, new_phone()],
    )
    assert status == 201
