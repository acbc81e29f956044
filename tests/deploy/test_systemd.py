"""The units of deploy/systemd: systemd accepts them, and the service works with them.

systemd does not run here. `systemd-analyze` reads the units, and the service is started as systemd would.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.deployment import SERVE, new_phone, running_service
from support.doc_blocks import ROOT
from support.redis_servers import Server, skip_or_fail

from otp_service.cli.consume_reports import STOP_SECONDS
from otp_service.settings import load

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
SERVICE, REPORTS = "otp-service.service", "otp-service-reports.service"
MAX_EXPOSURE = 2.0
"""systemd's own figure: 0 to 10, and "OK" up to 2. Network, sockets and a shared root directory make 1.7."""

PR_SET_MDWE = 65
"""Option of prctl(2) that does to a process what MemoryDenyWriteExecute= does."""


def text(name: str) -> str:
    return (ROOT / "deploy" / "systemd" / name).read_text("utf-8")


def values(name: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", text(name), re.MULTILINE)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        skip_or_fail("systemd-analyze is not installed")
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_both_processes_have_a_unit() -> None:
    assert [unit.name for unit in UNITS] == [REPORTS, SERVICE]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_accepts_the_unit(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/otp-service/bin", str(Path(sys.executable).parent)))
    result = analyze("verify", "--man=no", str(copy))

    assert result.returncode == 0
    assert [line for line in result.stderr.splitlines() if "otp-service" in line] == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_reports_a_low_exposure(unit: Path) -> None:
    result = analyze("security", "--offline=true", "--no-pager", str(unit))
    if "unrecognized option" in result.stderr:
        skip_or_fail("this systemd cannot judge a unit offline")
    (figure,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", result.stdout)

    assert float(figure) <= MAX_EXPOSURE


def test_both_units_have_the_same_restrictions() -> None:
    ours, theirs = (text(name).split("\n# The s", 1)[1].split("\n", 1)[1] for name in (SERVICE, REPORTS))

    assert ours == theirs


def test_time_to_stop_is_longer_than_the_processes_need() -> None:
    stop_timeout = load(ROOT / "config.example.toml", {}).server.stop_timeout

    assert int(values(SERVICE, "TimeoutStopSec")[0]) >= stop_timeout + 5
    assert int(values(REPORTS, "TimeoutStopSec")[0]) >= STOP_SECONDS + 5
    assert values(SERVICE, "KillMode") == ["mixed"]


def test_service_notifies_systemd_and_needs_no_writable_code(
    redis_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert values(SERVICE, "Type") == ["notify"]
    assert values(SERVICE, "MemoryDenyWriteExecute") == ["yes"]
    deny = f"import ctypes, os, sys; ctypes.CDLL(None).prctl({PR_SET_MDWE}, 1, 0, 0, 0)"
    deny += "; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        with running_service(
            redis_server, tmp_path, command=[sys.executable, "-c", deny, *SERVE[1:]]
        ) as service:
            assert systemd.recv(4096).splitlines()[0] == b"READY=1"
            phone = new_phone()
            response = service.request(phone)
            answer = service.verify(phone, response.body["verification_id"], service.code(phone))

    assert answer.status == 200
    assert service.process.returncode == 0


def test_worker_for_reports_does_not_notify() -> None:
    """So its unit must not wait for a notification."""
    assert values(REPORTS, "Type") == ["exec"]
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "otp_service").rglob("*.py"))
    assert "NOTIFY_SOCKET" not in sources
