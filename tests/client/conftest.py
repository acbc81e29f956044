"""A scripted service, and both Python clients for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import scripted_service
from support.python_clients import KINDS, Connect, needs_httpx

from otp_service_client import OtpClient, calls

SECRET_KEY = "sk_never_shown_anywhere"


@pytest.fixture
def service() -> Iterator[scripted_service.ScriptedService]:
    with scripted_service.serving() as service:
        yield service


@pytest.fixture
def _short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "RETRY_PAUSE", 0.01)


@pytest.fixture(params=KINDS)
def connect(request: pytest.FixtureRequest, _short_pause: None) -> Connect:
    """Creates a client: `OtpClient`, or `AsyncOtpClient` with blocking calls."""
    if request.param == "async":
        needs_httpx()
    kind: Connect = KINDS[request.param]
    return kind


@pytest.fixture
def client(service: scripted_service.ScriptedService, connect: Connect) -> Iterator[OtpClient]:
    with connect(service.url, SECRET_KEY, timeout=10) as client:
        yield client
