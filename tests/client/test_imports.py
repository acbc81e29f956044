"""Importing the client loads nothing that it does not need."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.package_sources import ROOT

LOADED = "import sys, otp_service_client; print(*sorted(sys.modules))"


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """All modules that importing the client loads in a new process."""
    result = subprocess.run(
        [sys.executable, "-c", LOADED],
        cwd=ROOT / "clients" / "python",
        check=True,
        capture_output=True,
        text=True,
    )
    return set(result.stdout.split())


@pytest.mark.parametrize(
    "library",
    [
        "flask",
        "werkzeug",
        "redis",
        "phonenumbers",
        "pydantic",
        "click",
        "gunicorn",
        "gevent",
        "cryptography",
        "otp_service",
    ],
)
def test_importing_the_client_does_not_load(library: str, loaded: set[str]) -> None:
    assert library not in loaded


def test_httpx_is_loaded_only_by_the_async_client(loaded: set[str]) -> None:
    assert "otp_service_client.async_client" in loaded
    assert {"httpx", "otp_service_client.async_transport"} & loaded == set()
