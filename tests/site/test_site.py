"""The documents as a site: the strict build succeeds, and its pages work from the file system alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support import chromium
from support.chromium import BrowserLog
from support.doc_blocks import ROOT, documents
from support.public_api import ROUTES
from support.redis_servers import skip_or_fail

PAGES = [
    "index.html",
    "README.zh-CN.html",
    "docs/quickstart.html",
    "docs/settings.html",
    "docs/openapi.html",
    "docs/runbooks/OtpServiceDown.html",
    "examples/flask_login/index.html",
]


def build(site: Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=cwd,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it."""
    if find_spec("mkdocs") is None:
        skip_or_fail("mkdocs is not installed")
    folder = tmp_path_factory.mktemp("site")
    result = build(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.chromium() as browser:
        yield browser


@pytest.fixture
def page_and_log(browser: Browser) -> Iterator[tuple[Page, BrowserLog]]:
    with chromium.open_page(
        browser, viewport={"width": 1280, "height": 800}, color_scheme="light"
    ) as page_and_log:
        yield page_and_log


@pytest.fixture
def page(page_and_log: tuple[Page, BrowserLog]) -> Page:
    return page_and_log[0]


def show(page: Page, site: Path, name: str) -> None:
    page.goto((site / name).as_uri())


def test_every_document_is_a_page(site: Path) -> None:
    missing = [
        document
        for document in documents()
        if not (site / document.removesuffix(".md")).with_suffix(".html").exists()
        and not (site / document).with_name("index.html").exists()
    ]
    assert missing == []


def test_links_of_alerts_lead_to_pages(site: Path) -> None:
    rules = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text("utf-8")
    urls = re.findall(r"runbook_url: https://[^/]+/(\S+)", rules)

    assert urls
    assert [url for url in urls if not (site / url).is_file()] == []


@pytest.mark.parametrize("link", ["operations.md#no-such-heading", "no-such-page.md", "../no-such-file.toml"])
def test_link_or_anchor_that_leads_nowhere_fails_the_build(tmp_path: Path, site: Path, link: str) -> None:
    (validation,) = re.findall(
        r"^validation:.*?(?=^\S)", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "mkdocs.yml").write_text(f"site_name: links\n{validation}", "utf-8")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "operations.md").write_text("# Operations\n", "utf-8")
    (tmp_path / "docs" / "index.md").write_text(f"# Index\n\n[nowhere]({link})\n", "utf-8")

    result = build(tmp_path / "site", cwd=tmp_path)

    assert result.returncode == 1
    assert link in result.stderr
    assert "Aborted with 1 warnings in strict mode" in result.stdout + result.stderr


@pytest.mark.parametrize("name", PAGES)
def test_page_opens_from_the_file_system_without_another_host(
    page_and_log: tuple[Page, BrowserLog], site: Path, name: str
) -> None:
    page, browser_log = page_and_log
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    show(page, site, name)
    page.wait_for_load_state("networkidle")

    assert failed == []
    assert browser_log.requests
    assert [url for url in browser_log.requests if not url.startswith(("file:", "data:", "blob:"))] == []


def test_no_page_refers_to_another_host_for_what_it_loads(site: Path) -> None:
    loaded = re.compile(
        r"<(?:script|img|iframe)[^>]*\ssrc=\"?(https?:[^\s\">]+)|<link[^>]*stylesheet[^>]*(https?:\S+)"
    )
    found = {
        path.relative_to(site).as_posix(): loaded.findall(path.read_text("utf-8"))
        for path in site.rglob("*.html")
    }
    assert len(found) > 60
    assert {name: urls for name, urls in found.items() if urls} == {}


@pytest.mark.parametrize(("query", "target"), [("noeviction", "docs/"), ("检查清单", "zh-CN.html")])
def test_search_finds_a_page(page: Page, site: Path, query: str, target: str) -> None:
    show(page, site, "docs/quickstart.html")
    page.get_by_role("textbox", name="Search").fill(query)
    result = page.locator(f".md-search-result__link[href*='{target}']").first
    expect(result).to_be_visible()
    result.click()

    expect(page.locator("article")).to_contain_text(query)


def test_diagram_becomes_a_picture(page: Page, site: Path) -> None:
    show(page, site, "docs/architecture.html")
    page.locator("div.mermaid").first.scroll_into_view_if_needed()
    expect(page.locator("pre.mermaid")).to_have_count(0)
    # The theme draws it in a closed shadow root: its size tells that it is there.
    expect(page.locator("div.mermaid")).to_have_count(2)

    boxes = [diagram.bounding_box() for diagram in page.locator("div.mermaid").all()]
    assert all(box and box["height"] > 100 for box in boxes)


def test_api_page_shows_every_call(page: Page, site: Path) -> None:
    show(page, site, "docs/openapi.html")
    page.get_by_role("heading", name="Create a hosted page").wait_for()
    text = page.locator("main").inner_text()

    assert [
        route for route in ROUTES if route.split()[-1].startswith("/otp/r") and route.split()[-1] not in text
    ] == []


def test_dark_mode_can_be_chosen(page: Page, site: Path) -> None:
    show(page, site, "docs/quickstart.html")
    body = page.locator("body")
    expect(body).to_have_attribute("data-md-color-scheme", "default")
    page.get_by_title("Dark mode").click()

    expect(body).to_have_attribute("data-md-color-scheme", "slate")


def test_pages_lead_to_the_other_language_and_back(page: Page, site: Path) -> None:
    show(page, site, "docs/quickstart.html")
    page.get_by_role("button", name="Select language").hover()
    page.get_by_role("link", name="中文", exact=True).click()

    expect(page.locator("html")).to_have_attribute("lang", "zh")
    expect(page.locator("h1")).to_contain_text("快速开始")
    expect(page.locator(".md-tabs__link")).to_have_text(["首页", "快速开始", "上线检查清单"])
    page.locator(".md-select").hover()
    page.get_by_role("link", name="English", exact=True).click()
    expect(page.locator("h1")).to_contain_text("Quick start")


def test_nav_is_the_path_of_a_newcomer(page: Page, site: Path) -> None:
    show(page, site, "index.html")

    expect(page.locator(".md-tabs__link")).to_have_text(
        ["Home", "Quick start", "Embed", "Production", "Operate", "Reference", "Design"]
    )


@pytest.mark.parametrize("name", ["docs/metrics.html", "docs/comparison.html", "index.html"])
def test_page_fits_a_phone(browser: Browser, site: Path, name: str) -> None:
    with chromium.open_page(browser, viewport={"width": 360, "height": 640}) as (page, _):
        show(page, site, name)

        assert page.evaluate("document.documentElement.scrollWidth") <= 360


OF_THE_THEME = ("aria-dialog-name", "landmark-unique")
"""Violations in the markup of the theme: its search dialog, and the buttons of code blocks."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", "docs/settings.html", "docs/quickstart.zh-CN.html"])
def test_page_is_accessible(browser: Browser, site: Path, name: str, scheme: str) -> None:
    with chromium.open_page(browser, color_scheme=scheme, viewport={"width": 1280, "height": 800}) as (
        page,
        _,
    ):
        show(page, site, name)

        assert [
            violation
            for violation in chromium.accessibility_violations(page)
            if not violation.startswith(OF_THE_THEME)
        ] == []


def test_mike_gets_the_list_of_versions(tmp_path: Path, site: Path) -> None:
    result = build(
        tmp_path / "site", MIKE_DOCS_VERSION=json.dumps({"version": "1.0", "title": "1.0", "aliases": []})
    )

    assert result.returncode == 0, result.stderr
    page = "docs/quickstart.html"
    assert '"provider": "mike"' in (tmp_path / "site" / page).read_text("utf-8")
    assert '"provider": "mike"' not in (site / page).read_text("utf-8")
