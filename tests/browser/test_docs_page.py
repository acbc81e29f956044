"""The docs page in a browser: accessible, readable everywhere, and by itself."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page
from support import chromium
from support.chromium import Dev, Witness


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_docs_page_is_accessible(browser: Browser, dev: Dev, scheme: str) -> None:
    with chromium.opened(browser, color_scheme=scheme) as (page, _):
        page.goto(f"{dev.service_url}/docs")
        page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")

        assert chromium.complaints(page) == []


def test_docs_page_asks_for_nothing_else(page: Page, witness: Witness, dev: Dev) -> None:
    page.goto(f"{dev.service_url}/docs")
    page.wait_for_load_state("networkidle")

    assert [url for url in witness.requests if not url.endswith(("/docs", "/favicon.ico"))] == []


def test_docs_page_fits_a_narrow_screen(browser: Browser, dev: Dev) -> None:
    with chromium.opened(browser, viewport={"width": 320, "height": 640}) as (page, _):
        page.goto(f"{dev.service_url}/docs")

        assert page.evaluate("document.documentElement.scrollWidth") <= 320
