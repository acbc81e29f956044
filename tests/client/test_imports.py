"""Importing the client does not load the server."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOADED = "import sys, otp_service_client; print(*sorted(sys.modules))"


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """All modules that importing the client loads in a new process."""
    done = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "library",
    ["flask", "werkzeug", "redis", "phonenumbers", "pydantic", "click", "gunicorn", "gevent", "cryptography"],
)
def test_importing_the_client_does_not_load(library: str, loaded: set[str]) -> None:
    assert library not in loaded


def test_importing_the_client_loads_little_of_the_service(loaded: set[str]) -> None:
    ours = {name for name in loaded if name.startswith("otp_service.")}

    assert {name for name in ours if not name.startswith("otp_service_client")} == {
        "otp_service.domain",
        "otp_service.domain.errors",
        "otp_service.domain.proofs",
    }
