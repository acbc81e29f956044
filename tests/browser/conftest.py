"""Fixtures: a browser and services per file, and pages per test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page
from support import chromium
from support.chromium import BrowserLog, Dev
from support.widget_shop import Shop, open_shop


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder: they need Chromium."""
    for item in items:
        if "/tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. It is closed after each file, because its event loop would affect other tests."""
    with chromium.chromium() as browser:
        yield browser


@pytest.fixture
def page_and_log(browser: Browser) -> Iterator[tuple[Page, BrowserLog]]:
    with chromium.open_page(browser) as page_and_log:
        yield page_and_log


@pytest.fixture
def page(page_and_log: tuple[Page, BrowserLog]) -> Page:
    """An empty page; an uncaught error in it fails the test."""
    return page_and_log[0]


@pytest.fixture
def browser_log(page_and_log: tuple[Page, BrowserLog]) -> BrowserLog:
    """The requests and errors of `page`."""
    return page_and_log[1]


@pytest.fixture(scope="module")
def dev() -> Iterator[Dev]:
    """`otp-service dev`, as `make run` starts it."""
    with chromium.running_dev() as dev:
        yield dev


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with a strict policy on its own origin, and the service as in production."""
    with open_shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop
