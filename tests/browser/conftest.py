"""A browser and what it looks at. Each file of tests has its own; each test has pages of its own."""

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
    """Chromium. It ends with the file: its event loop would be in the way of other tests."""
    with chromium.chromium() as browser:
        yield browser


@pytest.fixture
def opened(browser: Browser) -> Iterator[tuple[Page, Witness]]:
    with chromium.opened(browser) as opened:
        yield opened


@pytest.fixture
def page(opened: tuple[Page, Witness]) -> Page:
    """An empty page; an uncaught error of whatever it shows fails the test."""
    return opened[0]


@pytest.fixture
def witness(opened: tuple[Page, Witness]) -> Witness:
    """What `page` asked for."""
    return opened[1]


@pytest.fixture(scope="module")
def dev() -> Iterator[Dev]:
    """`otp-service dev`, as `make run` starts it."""
    with chromium.running_dev() as dev:
        yield dev


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with a strict policy on an origin of its own, and the service as in production."""
    with open_shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop
