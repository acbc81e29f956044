"""A scripted service and a client of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import scripted_service

from otp_service_client import OtpClient, otp_client

SECRET_KEY = "sk_never_shown_anywhere"


@pytest.fixture
def service() -> Iterator[scripted_service.Scripted]:
    with scripted_service.serving() as service:
        yield service


@pytest.fixture
def client(service: scripted_service.Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[OtpClient]:
    monkeypatch.setattr(otp_client, "RETRY_PAUSE", 0.01)
    with OtpClient(service.url, SECRET_KEY, timeout=0.3) as client:
        yield client
