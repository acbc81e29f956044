"""Small sites built from the packed files, in Chromium, with the real service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from support import chromium
from support.deployment import new_phone
from support.doc_blocks import blocks
from support.npm_packages import Project
from support.widget_shop import PUBLISHABLE_KEY, Shop, Widget, open_shop

pytestmark = pytest.mark.browser

README = "clients/widget/README.md"
DOCS = "docs/embedding.md"

LOGGED_IN = 'const onLogin = () => { document.title = "logged in"; };\n'

REACT = f"""
import {{ StrictMode }} from "react";
import {{ PhoneLogin }} from "./PhoneLogin.jsx";
{LOGGED_IN}
export const page = <StrictMode><PhoneLogin onLogin={{onLogin}} /></StrictMode>;
"""
REACT_SERVER = """
import { renderToString } from "react-dom/server";
import { page } from "./page.jsx";
process.stdout.write(renderToString(page));
"""
REACT_BROWSER = """
import { hydrateRoot } from "react-dom/client";
import { page } from "./page.jsx";
hydrateRoot(document.getElementById("app"), page, { onRecoverableError(error) { throw error; } });
"""
REACT_WITHOUT_SERVER = """
import { createRoot } from "react-dom/client";
import { page } from "./page.jsx";
createRoot(document.getElementById("app")).render(page);
"""
VUE = f"""
import {{ createSSRApp }} from "vue";
import PhoneLogin from "./PhoneLogin.vue";
{LOGGED_IN}
export const app = createSSRApp(PhoneLogin, {{ onLogin }});
"""
VUE_SERVER = """
import { renderToString } from "vue/server-renderer";
import { app } from "./page.js";
process.stdout.write(await renderToString(app));
"""
VUE_BROWSER = """
import { app } from "./page.js";
app.mount("#app");
"""

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Shop</title><link rel="icon" href="data:,"></head>
<body><main id="app">{html}</main><script type="module" src="{script}"></script></body>
</html>
"""


def block(language: str, document: str = README) -> str:
    """Return the only block of a language in a document."""
    (text,) = [block.text for block in blocks(document) if block.language == language]
    return text


@dataclass(frozen=True)
class Site:
    """A page of the shop with a bundled program."""

    shop: Shop
    project: Project

    def ours(self, text: str) -> str:
        """Return *text* of the docs with the URL and the key of this run."""
        text = text.replace("https://otp.example.com", self.shop.service.url)
        return text.replace("pk_0123456789abcdefghijklmnop", PUBLISHABLE_KEY)

    def write(self, **files: str) -> None:
        for name, text in files.items():
            stem, _, suffix = name.rpartition("_")
            self.project.write(f"{stem}.{suffix}", self.ours(text))

    def visit(self, page: Page, script: str, html: str = "") -> Widget:
        path = f"/{len(self.shop.pages)}"
        self.shop.pages |= {f"{path}.js": script, path: PAGE.format(html=html, script=f"{path}.js")}
        page.goto(self.shop.url + path)
        return Widget(page)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page; errors and console messages fail the test."""
    with chromium.open_page(browser) as (page, _):
        errors: list[str] = []
        page.on(
            "console", lambda message: message.type in {"error", "warning"} and errors.append(message.text)
        )
        yield page
        assert [error for error in errors if "401" not in error] == []


@pytest.fixture(scope="module")
def site(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_shop(tmp_path_factory.mktemp("shop")) as shop:
        yield Site(shop, project)


def verify(site: Site, page: Page, widget: Widget) -> str:
    """Verify a phone and return the phone that the server gets from the proof."""
    phone = new_phone()
    expect(widget.part("country").locator("option")).to_have_text(["China +86", "United States +1"])
    widget.send(phone[3:])
    with page.expect_request("**/api/login") as login:
        widget.code.fill(site.shop.service.code(phone))
    proof = json.loads(login.value.post_data or "")["proof"]
    redeemed = site.shop.service.post("/otp/redeem", {"proof": proof, "purpose": "login"})

    assert redeemed.body["phone"] == phone
    return phone


def refuse(route: Route) -> None:
    route.fulfill(status=401)


def logs_in_and_restarts_after_a_rejection(site: Site, page: Page, widget: Widget) -> None:
    page.route("**/api/login", refuse)
    verify(site, page, widget)
    expect(widget.phone).to_be_visible()
    page.unroute("**/api/login")
    verify(site, page, widget)
    expect(page).to_have_title("logged in")


def test_react_application_hydrates_server_output(site: Site, page: Page) -> None:
    site.write(PhoneLogin_jsx=block("jsx"), page_jsx=REACT, server_jsx=REACT_SERVER, main_jsx=REACT_BROWSER)
    site.project.bundle("server.jsx", "server.out.js", "node")
    html = site.project.run("server.out.js")
    widget = site.visit(page, site.project.bundle("main.jsx", "main.out.js", "esm"), html)

    assert html.startswith("<otp-verify ")
    logs_in_and_restarts_after_a_rejection(site, page, widget)


def test_react_18_application_logs_in(site: Site, page: Page) -> None:
    """In a bundle that is not a module, and so does not know its URL."""
    aliases = ["react=react18", "react-dom=react-dom18"]
    site.write(PhoneLogin_jsx=block("jsx"), page_jsx=REACT, main_jsx=REACT_WITHOUT_SERVER)
    widget = site.visit(page, site.project.bundle("main.jsx", "main.out.js", "iife", *aliases))

    logs_in_and_restarts_after_a_rejection(site, page, widget)


def test_vue_application_hydrates_server_output(site: Site, page: Page) -> None:
    site.write(PhoneLogin_vue=block("vue"), page_js=VUE, server_js=VUE_SERVER, main_js=VUE_BROWSER)
    site.project.bundle("server.js", "server.out.js", "node")
    html = site.project.run("server.out.js")
    widget = site.visit(page, site.project.bundle("main.js", "main.out.js", "esm"), html)

    assert html.startswith("<otp-verify ")
    logs_in_and_restarts_after_a_rejection(site, page, widget)


@pytest.mark.parametrize("language", ["jsx", "vue"])
def test_programs_in_the_docs_match_the_package(language: str) -> None:
    assert block(language, DOCS) == block(language)


def test_element_works_in_a_bundle(site: Site, page: Page) -> None:
    """Runs the scripts of the README one after the other; one of them creates a second element."""
    element, program = [block.text for block in blocks(README) if block.language == "js"]
    (html,) = [block.text for block in blocks(README) if block.language == "html"]
    site.write(main_js=element + program)
    site.visit(page, site.project.bundle("main.js", "main.out.js", "esm"), site.ours(html))
    made, written = page.locator("otp-verify").first, page.locator("otp-verify").last
    expect(made.locator("option")).to_have_text(["China +86", "Singapore +65", "United States +1"])
    expect(written.locator("option")).to_have_text(["China +86"])
    phone = new_phone()
    written.locator("#phone").fill(phone[3:])
    written.locator("[part~=send]").click()
    written.locator("#code").wait_for()
    written.locator("#code").fill(site.shop.service.code(phone))
    expect(written.locator("form:not([inert]) > [part~=done]")).to_be_visible()
    proof = page.evaluate("new FormData(document.querySelector('form')).get('proof')")

    assert site.shop.service.post("/otp/redeem", {"proof": proof, "purpose": "login"}).body["phone"] == phone


@pytest.mark.parametrize("countries", ["CN", "CN86-0:344 US", "<b>", "CN86-(a+)+:344"])
def test_unknown_countries_are_ignored_and_reported(countries: str, site: Site, browser: Browser) -> None:
    site.write(main_js='import "@otp-service/widget";')
    script = site.project.bundle("main.js", "main.out.js", "esm")
    with chromium.open_page(browser) as (page, _):
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text))
        widget = site.visit(page, script, f'<otp-verify countries="{countries}"></otp-verify>')
        expect(widget.part("country").locator("option")).to_have_count(1)
        expect(widget.part("prefix")).to_have_text("+86")

    assert errors == ["otp-verify: countries is ignored: take its texts from @otp-service/widget/countries."]
