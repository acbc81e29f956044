"""The examples in Chromium: a visitor opens the page, enters phone and code, and gets in."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from support import chromium
from support.deployment import new_phone
from support.widget_shop import Widget

from .conftest import EXAMPLES, Example, Start

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium."""
    with chromium.chromium() as browser:
        yield browser


@pytest.fixture(params=[name for name in EXAMPLES if name != "fastapi"])
def form(request: pytest.FixtureRequest, start: Start) -> Example:
    """Run the test for each example with a form."""
    return start(request.param)


def verify(page: Page, example: Example, phone: str) -> None:
    """Enter phone and code in the widget."""
    widget = Widget(page)
    widget.send(phone)
    widget.code.fill(example.dev.code(phone))
    widget.done.wait_for()


def submit(page: Page, example: Example) -> None:
    """Submit the form, if the example has one."""
    if page.get_by_label("Name").count():
        page.get_by_label("Name").fill("Mei")
    if example.name != "fastapi":
        page.get_by_role("button", name=re.compile("^(Log in|Sign up)$")).click()


def test_owner_of_the_phone_gets_in(example: Example, browser: Browser) -> None:
    phone = new_phone()
    with chromium.open_page(browser) as (page, browser_log):
        page.goto(example.url)
        verify(page, example, phone)
        submit(page, example)

        expect(page.locator("body")).to_contain_text(phone, timeout=chromium.TIMEOUT_MS)
        ours = (example.url, example.dev.service_url, "data:")
        assert [url for url in browser_log.requests if not url.startswith(ours)] == []
        assert [url for url in browser_log.requests if phone[1:] in url] == []


def test_field_added_to_the_form_is_ignored(form: Example, browser: Browser) -> None:
    phone, other = new_phone(), new_phone()
    with chromium.open_page(browser) as (page, _):
        page.goto(form.url)
        verify(page, form, phone)
        page.evaluate(
            """phone => {
                const field = Object.assign(document.createElement("input"), {name: "phone", value: phone});
                document.querySelector("form").append(field);
            }""",
            other,
        )
        submit(page, form)

        expect(page.locator("body")).to_contain_text(phone, timeout=chromium.TIMEOUT_MS)
        expect(page.locator("body")).not_to_contain_text(other)


def test_form_without_a_proof_is_not_submitted(form: Example, browser: Browser) -> None:
    with chromium.open_page(browser) as (page, browser_log):
        page.goto(form.url)
        submit(page, form)
        page.wait_for_timeout(200)

        assert page.evaluate("document.querySelector('form').checkValidity()") is False
        assert page.url.rstrip("/") == form.url
        assert not [url for url in browser_log.requests if url.endswith(("/login", "/signup"))]
