from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.deployment import config_text, make_secrets
from support.redis_servers import Server

from otp_service.cli.main import main
from otp_service.sandbox import SandboxConfig, SandboxServer, start_sandbox

PHONE = "+8613800138000"


@dataclass
class DoctorRun:
    """A configuration, and the commands that read it."""

    path: Path
    sandbox: SandboxServer
    texts: list[str]

    def change(self, old: str, new: str) -> None:
        text = self.path.read_text(encoding="utf-8")
        assert old in text
        self.path.write_text(text.replace(old, new), encoding="utf-8")

    def run(self, *arguments: str, input: str | None = None) -> Result:  # noqa: A002 - click's own word
        done = CliRunner().invoke(main, [*arguments, "--config", str(self.path)], input=input)
        echoed = (input or "").strip()  # typed input is echoed only at the prompt
        self.texts.append(done.output.replace(f"Phone: {echoed}", "Phone:", 1) if echoed else done.output)
        return done


@pytest.fixture
def sandbox_config() -> SandboxConfig:
    return SandboxConfig.default({"testId": "testSecret"})


@pytest.fixture
def doctor_run(redis_server: Server, sandbox_config: SandboxConfig, tmp_path: Path) -> Iterator[DoctorRun]:
    """A valid configuration with the sandbox as provider; secrets must never be printed."""
    made = make_secrets()
    path = tmp_path / "config.toml"
    with start_sandbox(sandbox_config) as sandbox:
        path.write_text(config_text(redis_server.url, sandbox.url, 8080, made), encoding="utf-8")
        opened = DoctorRun(path, sandbox, [])
        yield opened
    printed = "".join(opened.texts)
    hidden = ["testSecret", made.root, made.pseudonym_key, made.proof_key, made.secret_key, PHONE[3:]]
    assert [secret for secret in hidden if secret in printed] == []


@pytest.fixture
def closing() -> Iterator[Callable[[Any], Any]]:
    """Closes what a test opens."""
    opened: list[Any] = []

    def keep(thing: Any) -> Any:
        opened.append(thing)
        return thing

    yield keep
    for thing in opened:
        thing.close()


@pytest.fixture
def unknown_id() -> str:
    return secrets.token_urlsafe(16)
