"""The start page of `make run`: a complete sign-up on one screen."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect
from support import chromium
from support.chromium import BrowserLog, Dev
from support.deployment import new_phone, post

XSS = "<img src=x onerror=\"document.title='broken in'\">"


def sign_up(page: Page, dev: Dev, phone: str, name: str) -> None:
    """Sign up as a new developer does: read the code from the phone on the right."""
    page.goto(dev.service_url)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Phone number").fill(phone[3:])
    page.get_by_role("button", name="Send code").click()
    sms = page.get_by_role("log").locator("div", has_text=phone).last
    code = sms.locator("strong").inner_text()
    page.get_by_label("Code sent to").fill(code)
    page.get_by_text("is verified.").wait_for()
    page.get_by_role("button", name="Sign up").click()


def test_complete_sign_up_is_on_one_screen(page: Page, browser_log: BrowserLog, dev: Dev) -> None:
    phone = new_phone()
    sign_up(page, dev, phone, "Ada Lovelace")

    expect(page.get_by_role("heading", name="Welcome, Ada Lovelace")).to_be_visible()
    expect(page.locator("dd").first).to_have_text(phone)
    assert len(dev.inbox(phone)) == 1
    assert [url for url in browser_log.requests if not url.startswith(dev.service_url)] == []


def test_start_page_works_at_localhost_and_at_127_0_0_1(page: Page, dev: Dev) -> None:
    phone = new_phone()
    page.goto(dev.service_url.replace("127.0.0.1", "localhost"))
    page.get_by_label("Phone number").fill(phone[3:])
    page.get_by_role("button", name="Send code").click()

    page.get_by_label("Code sent to").wait_for()


def test_names_are_escaped(page: Page, dev: Dev) -> None:
    sign_up(page, dev, new_phone(), XSS)

    expect(page.get_by_role("heading", level=1)).to_have_text(f"Welcome, {XSS}")
    assert page.title() == "Welcome"
    assert page.locator("img").count() == 0


def test_invalid_proof_creates_no_account(page: Page, dev: Dev) -> None:
    page.goto(dev.service_url)
    page.evaluate("""
        const form = document.querySelector("form");
        document.querySelector("otp-verify").remove();
        form.insertAdjacentHTML("beforeend", '<input name="proof" value="made up">');
    """)
    page.get_by_label("Name").fill("Mallory")
    page.get_by_role("button", name="Sign up").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Sign-up failed")
    expect(page.locator("code")).to_have_text("invalid_proof")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_of_the_start_page_is_accessible(browser: Browser, dev: Dev, scheme: str) -> None:
    phone = new_phone()
    with chromium.open_page(browser, color_scheme=scheme, reduced_motion="reduce") as (page, _):
        page.goto(dev.service_url)
        page.locator("otp-verify:defined").wait_for()
        start = chromium.accessibility_violations(page)
        sign_up(page, dev, phone, "Ada")
        page.get_by_role("heading", name="Welcome").wait_for()
        end = chromium.accessibility_violations(page)
        page.goto(dev.service_url)
        page.get_by_role("log").get_by_text(phone).wait_for()
        full = chromium.accessibility_violations(page)

    assert (start, full, end) == ([], [], [])


@pytest.mark.parametrize("width", [320, 640, 1180])
def test_start_page_fits_every_screen(browser: Browser, dev: Dev, width: int) -> None:
    with chromium.open_page(browser, viewport={"width": width, "height": 800}) as (page, _):
        sign_up(page, dev, new_phone(), "Ada")
        page.goto(dev.service_url)

        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_start_page_forbids_framing_and_foreign_scripts(page: Page, dev: Dev) -> None:
    answer = page.goto(dev.service_url)
    assert answer
    policy = answer.headers["content-security-policy"]

    assert "frame-ancestors 'none'" in policy
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_lines_to_copy_contain_the_urls_of_this_service(page: Page, dev: Dev) -> None:
    page.goto(dev.service_url)
    shown = page.get_by_label("Code for a page").inner_text()

    assert f'src="{dev.service_url}/otp/widget.js"' in shown
    assert f'publishable-key="{dev.publishable_key}"' in shown
    assert re.search(r'purpose="signup"', shown)


def test_start_page_does_not_contain_the_secret_key(page: Page, dev: Dev) -> None:
    page.goto(dev.service_url)

    assert dev.secret_key not in page.content()


def test_curl_and_the_page_share_one_phone(page: Page, dev: Dev) -> None:
    phone = new_phone()
    page.goto(dev.service_url)
    body = {"phone": phone, "purpose": "login"}
    post(f"{dev.service_url}/otp/request", body, Authorization=f"Bearer {dev.secret_key}")

    page.get_by_role("log").get_by_text(phone).wait_for()
