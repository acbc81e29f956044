"""The deadlines of the HTTP client in a process patched by gevent, as in `otp-service serve`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

PATCHED = """
from gevent import monkey

monkey.patch_all()

import sys

import pytest

sys.exit(pytest.main(sys.argv[1:]))
"""


def test_http_client_keeps_its_deadlines_under_gevent() -> None:
    files = [str(HERE / file) for file in ("test_http.py", "gevent_deadlines.py")]
    result = subprocess.run(
        [sys.executable, "-c", PATCHED, "-q", "-p", "no:xdist", *files],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert result.returncode == 0, result.stdout[-20_000:] + result.stderr[-5_000:]
