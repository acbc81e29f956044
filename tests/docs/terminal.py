"""Runs the shell blocks of one document one after the other, as a reader would.

It replaces only the values that every reader replaces: the keys, the last ids and proofs, and the codes.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.error import URLError
from urllib.request import urlopen

from support.chromium import Dev, running_dev
from support.redis_servers import free_port

ROOT = Path(__file__).parents[2]
BIN = Path(sys.prefix) / "bin"
ASSIGNMENT = re.compile(r"(?:export )?[A-Z_]+=\S*( [A-Z_]+=\S*)*")
SITE = "https://www.example.com"
"""The origin of the reader's own page."""

SERVERS = ("make run", "make example", "otp-service serve", "otp-service sandbox")
"""Commands that run until they are stopped, and print where they listen."""

FAR_REACHING = re.compile(r"\b(kill|pkill|killall|pidof|rm|sudo|systemctl|docker|apt-get)\b")
"""Commands that could affect the machine; a block with one of them belongs in NOT_RUN."""


class Terminal:
    """A terminal in *directory*. *phone* is the phone number of the reader."""

    def __init__(self, directory: Path, phone: str) -> None:
        self._directory = directory
        self._phone = phone
        self._open = ExitStack()
        self._dev: Dev | None = None
        self._variables: list[str] = []
        self._last_values: dict[str, str] = {}
        self._ports: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def dev(self) -> Dev:
        """The running `otp-service dev` that every document assumes."""
        if self._dev is None:
            self._dev = self._open.enter_context(running_dev("--origin", SITE))
        return self._dev

    def type(self, text: str) -> list[str]:
        """Run a block line by line; return the output of each line."""
        return [self._run(self._with_values_of_the_reader(command)) for command in commands(text)]

    def _run(self, command: str) -> str:
        assert not FAR_REACHING.search(command), command
        if command.startswith(SERVERS):
            self._open.enter_context(self._running_server(command))
            return ""
        if ASSIGNMENT.fullmatch(command):
            self._variables.append(command)
            return ""
        result = subprocess.run(
            ["bash", "-o", "pipefail", "-c", "\n".join([*self._variables, command])],
            cwd=self._directory,
            env=self._environment(),
            input=f"{self._phone}\n",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
        self._remember_values(result.stdout)
        return result.stdout

    def _environment(self) -> Mapping[str, str]:
        dev = self.dev
        keys = {
            "OTP_URL": dev.service_url,
            "OTP_SECRET_KEY": dev.secret_key,
            "OTP_PUBLISHABLE_KEY": dev.publishable_key,
        }
        return {**os.environ, **keys, "PATH": f"{BIN}:{os.environ['PATH']}"}

    # ── values of the reader ──

    def _with_values_of_the_reader(self, command: str) -> str:
        for name in ("verification_id", "proof"):
            if name in self._last_values:
                command = re.sub(rf'"{name}": "[^"]*"', f'"{name}": "{self._last_values[name]}"', command)
        if '"code": "' in command:
            command = re.sub(r'"code": "\d+"', f'"code": "{self.dev.code(self._phone_in(command))}"', command)
        command = command.replace("+86…", self._phone)
        return re.sub(r"\b(8025|8080)\b", lambda found: str(self._port(found[0])), command)

    @staticmethod
    def _phone_in(command: str) -> str:
        found = re.search(r'"phone": "(?:\+86)?(\d+)"', command)
        assert found
        return f"+86{found[1]}"

    def _port(self, documented: str) -> int:
        """Return the free port that replaces a port of the documents."""
        return self._ports.setdefault(documented, free_port())

    def _remember_values(self, output: str) -> None:
        answer = as_json(output)
        self._last_values |= {name: answer[name] for name in ("verification_id", "proof") if name in answer}

    # ── commands that keep running ──

    @contextmanager
    def _running_server(self, command: str) -> Iterator[None]:
        if command == "make run":
            with running_dev(
                command=make_command("run", ARGS=f"--json --port 0 --sandbox-port 0 --origin {SITE}")
            ) as self._dev:
                yield
            return
        port = free_port()
        with subprocess.Popen(
            self._arguments(command, port),
            cwd=self._directory_of(command),
            env={**self._environment(), "PORT": str(port)},
        ) as process:
            try:
                wait_for_server(self._url_of(command, port), process)
                yield
            finally:
                process.terminate()
                process.wait(20)

    def _arguments(self, command: str, port: int) -> list[str]:
        words = shlex.split(command)
        return make_command(*words[1:]) if words[0] == "make" else words

    def _directory_of(self, command: str) -> Path:
        return ROOT if command.startswith("make") else self._directory

    def _url_of(self, command: str, port: int) -> str:
        if command.startswith("otp-service sandbox"):
            return f"http://127.0.0.1:{self._ports['8025']}/inbox"
        if command.startswith("otp-service serve"):
            found = re.search(r"^port = (\d+)", (self._directory / "config.toml").read_text(), re.MULTILINE)
            assert found
            return f"http://127.0.0.1:{found[1]}/readyz"
        return f"http://localhost:{port}/"


def make_command(*targets: str, **variables: str) -> list[str]:
    """Return the make command for *targets* with this Python's environment, which has all packages."""
    assignments = [f"{name}={value}" for name, value in variables.items()]
    return [
        "make",
        "-s",
        "-C",
        str(ROOT),
        "-o",
        f"{sys.prefix}/.embedded",
        f"VENV={sys.prefix}",
        *targets,
        *assignments,
    ]


def commands(text: str) -> list[str]:
    """Return the commands of a block, one per line, without comments and line continuations."""
    lines = text.replace("\\\n", "").splitlines()
    return [line for line in (re.sub(r"\s+#\s.*$", "", line).strip() for line in lines) if line]


def as_json(output: str) -> dict[str, Any]:
    """Return the JSON object in *output*, or an empty one if it is something else."""
    try:
        answer = json.loads(output)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def wait_for_server(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers at *url*."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(url, timeout=20):  # noqa: S310 - of this machine
                return
        except URLError:
            time.sleep(0.05)
    raise AssertionError(f"no server answers at {url}")
