"""Fixtures: a browser and services per file, and pages per test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page
from support import chromium
from support.chromium import Dev, Witness
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
def opened(browser: Browser) -> Iterator[tuple[Page, Witness]]:
    with chromium.opened(browser) as opened:
        yield opened


@pytest.fixture
def page(opened: tuple[Page, Witness]) -> Page:
    """An empty page; an uncaught error in it fails the test."""
    return opened[0]


@pytest.fixture
def witness(opened: tuple[Page, Witness]) -> Witness:
    """The requests of `page`."""
    return opened[1]


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
