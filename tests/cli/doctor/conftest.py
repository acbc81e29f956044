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
    """Runs commands with one configuration file, and collects their output."""

    path: Path
    sandbox: SandboxServer
    outputs: list[str]

    def change(self, old: str, new: str) -> None:
        text = self.path.read_text(encoding="utf-8")
        assert old in text
        self.path.write_text(text.replace(old, new), encoding="utf-8")

    def run(self, *arguments: str, input: str | None = None) -> Result:  # noqa: A002 - click's own word
        result = CliRunner().invoke(main, [*arguments, "--config", str(self.path)], input=input)
        typed = (input or "").strip()  # may only be echoed at the prompt
        self.outputs.append(result.output.replace(f"Phone: {typed}", "Phone:", 1) if typed else result.output)
        return result


@pytest.fixture
def sandbox_config() -> SandboxConfig:
    return SandboxConfig.default({"testId": "testSecret"})


@pytest.fixture
def doctor_run(redis_server: Server, sandbox_config: SandboxConfig, tmp_path: Path) -> Iterator[DoctorRun]:
    """A valid configuration with the sandbox as provider; secrets must never be printed."""
    config_secrets = make_secrets()
    path = tmp_path / "config.toml"
    with start_sandbox(sandbox_config) as sandbox:
        path.write_text(config_text(redis_server.url, sandbox.url, 8080, config_secrets), encoding="utf-8")
        doctor_run = DoctorRun(path, sandbox, [])
        yield doctor_run
    output = "".join(doctor_run.outputs)
    hidden = ["testSecret", *vars(config_secrets).values(), PHONE[3:]]
    assert [secret for secret in hidden if secret in output] == []


@pytest.fixture
def closing() -> Iterator[Callable[[Any], Any]]:
    """Registers objects to close after the test, and returns them."""
    registered: list[Any] = []

    def register(thing: Any) -> Any:
        registered.append(thing)
        return thing

    yield register
    for thing in registered:
        thing.close()


@pytest.fixture
def unknown_id() -> str:
    return secrets.token_urlsafe(16)
