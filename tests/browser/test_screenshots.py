"""The screenshots of the docs: every run takes them, `make screenshots` stores them in docs/images."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

import pytest
from browser.hosting import SHOP_URL, hosting
from playwright.sync_api import Browser, Locator, Page, expect
from support import chromium
from support.chromium import ROOT, Dev
from support.widget_shop import Shop

IMAGES = ROOT / "docs" / "images"
ARE_KEPT = os.environ.get("OTP_SERVICE_SCREENSHOTS") == "1"
PHONE = "+8613800138000"

ARABIC = {
    "code": "أُرسل الرمز إلى {phone}",
    "verify": "تحقق",
    "resend": "إعادة الإرسال",
    "change": "تغيير الرقم",
    "cancel": "إلغاء",
    "arriving": "قد يستغرق وصوله بضع ثوانٍ.",
}
CANVAS: Mapping[str, Any] = {"viewport": {"width": 400, "height": 700}, "device_scale_factor": 2}
ONLY_THE_WIDGET = "h1, #below { display: none } main { padding: 1rem } form { margin: 0 }"

STEPS = {"phone": "widget-phone", "code": "widget-code", "wrong": "widget-wrong", "done": "widget-done"}
LOOKS: dict[str, tuple[dict[str, Any], dict[str, str], dict[str, str]]] = {
    # options of the page, options of the widget, and the states to capture
    "English": ({}, {}, STEPS),
    "dark": ({"color_scheme": "dark"}, {}, {"code": "widget-dark"}),
    "Chinese": ({}, {"lang": "zh-CN"}, {"code": "widget-zh"}),
    "right to left": (
        {},
        {"lang": "ar", "direction": "rtl", "attributes": f"purpose='login' texts='{json.dumps(ARABIC)}'"},
        {"code": "widget-rtl"},
    ),
}
PAGES = ["docs-page", "inbox", "start-page", "start-page-done"]
HOSTED = ["hosted-phone", "hosted-code", "hosted-zh"]


def capture(what: Page | Locator, name: str) -> None:
    """Take a screenshot of *what*; store it if screenshots are requested."""
    picture = what.screenshot(animations="disabled", caret="hide")
    assert picture.startswith(b"\x89PNG")
    if ARE_KEPT:
        IMAGES.mkdir(exist_ok=True)
        (IMAGES / f"{name}.png").write_bytes(picture)


@pytest.mark.parametrize("look", LOOKS)
def test_screenshots_of_the_widget(browser: Browser, shop: Shop, look: str) -> None:
    made, visited, names = LOOKS[look]
    with shop.service.redis.client() as client:
        client.flushdb()  # the phone in the screenshots is always the same
    with chromium.open_page(browser, **CANVAS, **made) as (page, _):
        widget = shop.visit(page, **visited)
        page.evaluate(
            "css => { document.adoptedStyleSheets = [new CSSStyleSheet()];"
            " document.adoptedStyleSheets[0].replaceSync(css); }",
            ONLY_THE_WIDGET,
        )

        def see(state: str) -> None:
            if state in names:
                capture(page.locator("main"), names[state])

        widget.phone.press_sequentially(PHONE[3:])
        see("phone")
        widget.part("send").click()
        widget.code.wait_for()
        see("code")
        code = shop.service.code(PHONE)
        widget.code.fill(f"{(int(code) + 1) % 10**6:06d}")
        expect(widget.hint).to_have_class(re.compile("bad"))
        see("wrong")
        widget.code.fill(code)
        expect(widget.done).to_be_visible()
        see("done")


def test_screenshots_of_the_pages(browser: Browser, dev: Dev) -> None:
    screen = {"viewport": {"width": 1180, "height": 640}, "device_scale_factor": 1}
    with chromium.open_page(browser, **screen) as (page, _):
        page.goto(dev.service_url)
        page.get_by_label("Name").fill("Ada Lovelace")
        page.get_by_label("Phone number").press_sequentially(PHONE[3:])
        page.get_by_role("button", name="Send code").click()
        page.get_by_role("log").get_by_text(PHONE).wait_for()
        capture(page, "start-page")
        page.get_by_label("Code sent to").fill(dev.code(PHONE))
        page.get_by_text("is verified.").wait_for()
        page.get_by_role("button", name="Sign up").click()
        page.get_by_role("heading", name="Welcome").wait_for()
        capture(page, "start-page-done")
        page.goto(dev.inbox_url)
        capture(page, "inbox")
        page.goto(f"{dev.service_url}/docs")
        page.get_by_role("heading", name="Create a hosted page").wait_for()
        capture(page, "docs-page")


def test_screenshot_of_the_hosted_page(browser: Browser) -> None:
    canvas: dict[str, Any] = {"viewport": {"width": 420, "height": 560}}
    with hosting() as hosted, chromium.open_page(browser, **canvas) as (page, _):
        page.goto(hosted.create_page(return_url=SHOP_URL))
        capture(page, "hosted-phone")
        page.fill("#phone", PHONE[3:])
        page.click("button.main")
        page.wait_for_selector("#code")
        capture(page, "hosted-code")
        chinese = {"locale": "zh-CN", "color_scheme": "dark"}
        with chromium.open_page(browser, **canvas, **chinese) as (other, _):
            other.goto(hosted.create_page(return_url=SHOP_URL))
            capture(other, "hosted-zh")


def test_every_screenshot_is_stored() -> None:
    names = {name for _, _, drawn in LOOKS.values() for name in drawn.values()} | {*PAGES, *HOSTED}

    assert {path.stem for path in IMAGES.glob("*.png")} >= names
    assert [path.name for path in IMAGES.glob("*.png") if path.stat().st_size > 150_000] == []
