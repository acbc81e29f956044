"""The inbox page in a browser: it shows messages, and is accessible when full and when empty."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser
from support import chromium
from support.chromium import Dev
from support.deployment import new_phone, post


def send(dev: Dev, phone: str) -> None:
    key = f"Bearer {dev.secret_key}"
    answer = post(f"{dev.service_url}/otp/request", {"phone": phone, "purpose": "login"}, Authorization=key)
    assert answer.status == 201


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_inbox_is_accessible_in_every_state(browser: Browser, dev: Dev, scheme: str) -> None:
    phone = new_phone()
    with chromium.open_page(browser, color_scheme=scheme) as (page, _):
        page.goto(f"{dev.inbox_url}?phone=%2B{phone[1:]}")
        empty = chromium.accessibility_violations(page)
        send(dev, phone)
        page.get_by_role("code").get_by_text(dev.code(phone)).wait_for()
        page.get_by_text("Reply as this phone").click()
        full = chromium.accessibility_violations(page)

    assert (empty, full) == ([], [])


def test_inbox_fits_a_narrow_screen(browser: Browser, dev: Dev) -> None:
    phone = new_phone()
    send(dev, phone)
    with chromium.open_page(browser, viewport={"width": 320, "height": 640}) as (page, _):
        page.goto(dev.inbox_url)
        page.get_by_role("code").get_by_text(dev.code(phone)).wait_for()

        assert page.evaluate("document.documentElement.scrollWidth") <= 320
