"""deploy/Dockerfile and .dockerignore: the content of the image, its user, its health check, no secrets.

`make image-check` executes the steps (test_image_build.py).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from support.doc_blocks import ROOT
from support.dockerfile import (
    FILE,
    SUITE,
    copy_context,
    health_check,
    ignore_rules,
    instructions,
    is_ignored,
    stages,
)
from support.redis_servers import closed_port, skip_or_fail

from otp_service.settings import Settings, load

BUILD, IMAGE = stages()
VARIABLES = IMAGE.environment()
UID = "10001"

SECRET = re.compile(r"sk_[\w-]{20}|whsec_|BEGIN [A-Z ]*PRIVATE KEY|(?i:password|secret|token)\w*=\S")


def test_linter_accepts_the_dockerfile() -> None:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if program is None:
        skip_or_fail("hadolint is not installed")
    result = subprocess.run(
        [str(program), str(FILE)], capture_output=True, text=True, check=False, timeout=60
    )

    assert result.returncode == 0, result.stdout


def test_sources_stay_in_the_first_stage() -> None:
    assert [stage.name for stage in (BUILD, IMAGE)] == ["build", ""]
    copied = IMAGE.all("COPY")
    assert [step.words for step in copied] == [["/image", "/"], ["/opt/otp-service", "/opt/otp-service"]]
    assert [step.options for step in copied] == [{"from": "build"}] * 2
    assert (BUILD.base, IMAGE.base) == (f"debian:{SUITE}-slim", "scratch")


def test_user_is_not_root_and_has_a_fixed_id() -> None:
    assert IMAGE.last("USER").text == f"{UID}:{UID}"
    files = "".join(step.text for step in BUILD.all("RUN"))
    assert f"echo 'otp-service:x:{UID}:{UID}::/nonexistent:/usr/sbin/nologin' >> /image/etc/passwd" in files
    assert f"otp-service:x:{UID}:\\n' > /image/etc/group" in files
    kinds = [step.keyword for step in IMAGE.instructions]
    assert "RUN" not in kinds[kinds.index("USER") :]


def test_program_gets_signals_itself() -> None:
    """A shell as the first process would not pass SIGTERM on."""
    assert IMAGE.last("ENTRYPOINT").text == '["otp-service"]'
    assert IMAGE.last("CMD").text == '["serve"]'
    assert IMAGE.last("STOPSIGNAL").text == "SIGTERM"


def test_every_package_is_installed_by_hash() -> None:
    text = BUILD.all("RUN")[-1].text

    assert re.findall(r"pip install (.*?);", text) == [
        "--no-cache-dir --require-hashes --only-binary :all: -r constraints/build.txt",
        "--no-cache-dir --require-hashes --only-binary :all: -r constraints/server.txt",
        "--no-cache-dir --no-index --no-deps /dist/*.whl",
    ]
    assert re.findall(r"pip wheel (.*?);", text) == [
        "--no-cache-dir --no-build-isolation --no-deps --wheel-dir /dist ."
    ]
    assert "$pip check;" in text


def test_nothing_that_the_service_imports_is_removed() -> None:
    (removed,) = re.findall(r"for unused in (.*?);", BUILD.all("RUN")[-1].text)
    program = "import sys, otp_service.app, otp_service.cli.serve, otp_service.cli.consume_reports\n"
    result = subprocess.run(
        [sys.executable, "-c", program + "print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    imported = result.stdout.split()
    assert len(removed.split()) == 6
    for folder in removed.split():
        module = folder.replace("/", ".")
        assert module.partition(".")[0] in imported
        assert not [name for name in imported if name.startswith(module)]
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "otp_service").rglob("*.py"))
    assert not re.search(r"phonenumbers(\.| import )(geo|carrier|timezone)", sources)


def test_variables_of_the_image_are_settings(tmp_path: Path) -> None:
    ours = {name: value for name, value in VARIABLES.items() if name.startswith("OTP_SERVICE__")}
    settings = load(ROOT / "config.example.toml", ours)

    assert isinstance(settings, Settings)
    assert settings.server.host == settings.metrics.host == "0.0.0.0"
    assert VARIABLES["OTP_SERVICE_CONFIG"] == "/etc/otp-service/config.toml"
    assert [step.text for step in IMAGE.all("EXPOSE")] == [f"{settings.server.port} 9464"]
    assert set(VARIABLES) - set(ours) == {"OTP_SERVICE_CONFIG", "PATH", "PYTHONDONTWRITEBYTECODE"}


def test_no_secret_is_in_the_file_or_in_the_context(tmp_path: Path) -> None:
    copy_context(tmp_path)
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}

    assert not SECRET.search(FILE.read_text("utf-8"))
    assert not [one for one in instructions(FILE.read_text("utf-8")) if one.keyword == "ADD"]
    assert {name for name in names if not name.startswith(("otp_service/", "constraints/"))} <= {
        *("pyproject.toml", "config.example.toml", "README.md", "LICENSE", "CHANGELOG.md"),
    }
    assert {"pyproject.toml", "otp_service/app.py"} <= names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_everything_that_is_copied_is_in_the_context(tmp_path: Path) -> None:
    copy_context(tmp_path)

    for step in BUILD.all("COPY"):
        *names, _ = step.words
        assert [name for name in names if not (tmp_path / name).exists()] == []


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("config.toml", True),
        (".git", True),
        ("deploy/compose/secrets/root_a", True),
        ("otp_service/__pycache__/app.pyc", True),
        ("otp_service/store/lua/send.lua", False),
        ("constraints/server.txt", False),
    ],
)
def test_ignore_file_excludes_what_is_not_copied(path: str, *, ignored: bool) -> None:
    assert is_ignored(path, ignore_rules()) == ignored


# ── HEALTHCHECK ──


@contextmanager
def answering(status: int) -> Iterator[int]:
    """Run a server that answers /readyz with *status*, and yield its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield server.server_port
        thread.join(30)


def healthy(port: int) -> bool:
    command = health_check(IMAGE)
    assert command[0] == "python"
    result = subprocess.run(
        [sys.executable, *command[1:]],
        env={"OTP_SERVICE__SERVER__PORT": str(port)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    return result.returncode == 0


@pytest.mark.parametrize(("status", "expected"), [(200, True), (503, False)])
def test_health_check_uses_readiness(status: int, *, expected: bool) -> None:
    with answering(status) as port:
        assert healthy(port) == expected


def test_health_check_fails_while_nothing_listens() -> None:
    assert not healthy(closed_port())


def test_health_check_has_the_port_of_the_settings_as_its_default() -> None:
    assert f"'{Settings.model_fields['server'].default.port}'" in health_check(IMAGE)[-1]
