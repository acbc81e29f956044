"""The docs page in a browser: complete, accessible, readable on a narrow screen, and without other hosts."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page
from support import chromium
from support.chromium import Dev

from otp_service.web.api import openapi

SCREEN = {"width": 1180, "height": 640}


def show(page: Page, dev: Dev) -> None:
    page.goto(f"{dev.service_url}/docs")
    page.get_by_role("heading", name="Create a hosted page").wait_for()


def expand(page: Page) -> None:
    """Expand all sections of the page."""
    for _ in range(3):
        page.evaluate("for (const part of document.querySelectorAll('[aria-expanded=false]')) part.click()")
        page.wait_for_timeout(300)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_docs_page_is_accessible(browser: Browser, dev: Dev, scheme: str) -> None:
    with chromium.open_page(browser, color_scheme=scheme, viewport=SCREEN) as (page, _):
        show(page, dev)
        assert chromium.accessibility_violations(page) == []
        expand(page)

        assert chromium.accessibility_violations(page) == []


def test_docs_page_shows_every_operation_and_every_problem(page: Page, dev: Dev) -> None:
    show(page, dev)
    expand(page)
    text = page.locator("main").inner_text()

    assert [path for path in openapi.document()["paths"] if path not in text] == []
    unused = {"not_found", "method_not_allowed"}
    codes = {
        schema["properties"]["code"]["const"]
        for schema in openapi.document()["components"]["schemas"].values()
        if "allOf" in schema
    }
    assert [code for code in codes - unused if code not in text] == []


def test_docs_page_loads_nothing_from_another_host(page: Page, dev: Dev) -> None:
    finished: list[str] = []
    failed: list[tuple[str, str | None]] = []
    page.on("requestfinished", lambda request: finished.append(request.url))
    page.on("requestfailed", lambda request: failed.append((request.url, request.failure)))
    show(page, dev)
    page.wait_for_load_state("networkidle")

    assert [url for url in finished if not url.startswith(f"{dev.service_url}/")] == []
    assert {why for _, why in failed} <= {"csp"}  # Redoc's logo


def test_docs_page_violates_the_policy_only_for_the_logo(page: Page, dev: Dev) -> None:
    page.add_init_script(
        "window.broken = [];"
        "addEventListener('securitypolicyviolation', event => broken.push(event.effectiveDirective))"
    )
    show(page, dev)

    assert set(page.evaluate("broken")) <= {"img-src"}


def test_docs_page_fits_a_narrow_screen(browser: Browser, dev: Dev) -> None:
    with chromium.open_page(browser, viewport={"width": 320, "height": 640}) as (page, _):
        show(page, dev)

        assert page.evaluate("document.documentElement.scrollWidth") <= 320
