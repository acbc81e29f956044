"""The types of the client, checked by mypy; both clients have the same methods."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.package_sources import ROOT

from otp_service_client import AsyncOtpClient, OtpClient

USAGE = Path(__file__).with_name("usage.py")
METHODS = sorted(
    name for name, _ in inspect.getmembers(OtpClient, inspect.isfunction) if not name.startswith("_")
)
METHODS.remove("close")  # `aclose` there


def test_types_hold_in_a_strict_program(tmp_path: Path) -> None:
    """usage.py is right wherever nothing is said, and wrong wherever `type: ignore` stands."""
    result = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file="),
            *("--cache-dir", str(tmp_path), "--follow-imports", "silent", str(USAGE)),
        ],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT / "clients" / "python")},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert (result.returncode, result.stderr) == (0, ""), result.stdout


@pytest.mark.parametrize("name", METHODS)
def test_both_clients_have_the_same_calls(name: str) -> None:
    blocking, concurrent = getattr(OtpClient, name), getattr(AsyncOtpClient, name)

    assert inspect.signature(blocking) == inspect.signature(concurrent)
    assert inspect.iscoroutinefunction(concurrent)
    assert f"`OtpClient.{name}`" in str(concurrent.__doc__)


def test_both_clients_are_created_alike() -> None:
    assert inspect.signature(OtpClient) == inspect.signature(AsyncOtpClient)
