"""Fixtures of the web tests."""

from __future__ import annotations

import pytest
from web.web_app import WebApp, open_web_app


@pytest.fixture
def web_app() -> WebApp:
    return open_web_app()
