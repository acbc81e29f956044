"""Commands in the docs that change the machine or run until they are stopped, and those in sentences."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from support.deployment import ACCESS_KEY_ID, ACCESS_KEY_SECRET, config_text, make_secrets
from support.doc_blocks import ROOT, Block, blocks, documents
from support.redis_clusters import run_command
from support.redis_sentinels import running_sentinels
from support.redis_servers import Server, free_port, redis_binary, skip_or_fail
from support.redis_servers import running as running_server
from support.waiting import eventually

from otp_service.cli.main import main
from otp_service.sandbox import SandboxConfig, start_sandbox

from .terminal import commands, make_command

BIN = Path(sys.prefix) / "bin"
IN_SENTENCES = sorted(
    {
        (document, found)
        for document in documents()
        for found in re.findall(r"`(otp-service [^`]+)`", (ROOT / document).read_text("utf-8"))
    }
)
WITH_FILES = {"--password-file": "/dev/null"}


def block(document: str, begins: str) -> str:
    (found,) = [block.text for block in blocks(document) if block.first_line.startswith(begins)]
    return found


# ── in sentences ──


def parsed(words: list[str]) -> None:
    """Parse *words* as the command line does, without running the command."""
    group: click.Command = main
    context = click.Context(main, info_name="otp-service")
    while isinstance(group, click.Group):
        name, command, words = group.resolve_command(context, words)
        assert command is not None
        group, context = command, click.Context(command, info_name=name, parent=context)
        if not words:
            return  # only the name of a command
    if "--help" not in words:
        group.make_context(group.name, words, parent=context.parent)


@pytest.mark.parametrize(("document", "command"), IN_SENTENCES, ids=str)
def test_command_in_a_sentence_is_valid(document: str, command: str) -> None:
    words = shlex.split(command.replace("…", "x"))[1:]
    for option, path in WITH_FILES.items():
        if option in words[:-1]:
            words[words.index(option) + 1] = path

    parsed(words)


def test_command_with_an_unknown_argument_is_detected() -> None:
    with pytest.raises(click.UsageError):
        parsed(["check-config", "otp.toml"])


# ── make ──


@pytest.mark.parametrize(
    "block",
    [block for document in documents() for block in blocks(document) if block.first_line.startswith("make ")],
    ids=lambda block: f"{block.document}:{block.line}",
)
def test_make_targets_in_the_docs_exist(block: Block) -> None:
    """They are not run: `make test` is this run, others change the checkout or download packages."""
    for command in commands(block.text):
        dry = [*make_command(*shlex.split(command)[1:]), "--dry-run"]
        result = subprocess.run(
            dry,
            env={**os.environ, "OTP_URL": "http://127.0.0.1:1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert result.stdout.strip()


# ── commands that run until they are stopped ──


@pytest.fixture
def place(tmp_path: Path, redis_server: Server) -> Iterator[Path]:
    """A directory with a configuration that uses the queues of a sandbox."""
    with start_sandbox(SandboxConfig.default({ACCESS_KEY_ID: ACCESS_KEY_SECRET})) as sandbox:
        queues = next(
            block.text for block in blocks("docs/reports.md") if block.first_line == "[[routes]]"
        ).partition("[reports.queue]")
        extra = f"[reports.queue]{queues[2]}".replace("http://127.0.0.1:8025", sandbox.url)
        text = config_text(redis_server.url, sandbox.url, free_port(), make_secrets(), extra)
        (tmp_path / "config.toml").write_text(text)
        yield tmp_path


def test_report_worker_runs_until_it_is_stopped(place: Path) -> None:
    log = place / "reports.log"
    (command,) = commands(block("docs/reports.md", "otp-service consume-reports"))
    with (
        log.open("wb") as output,
        subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=place,
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            assert eventually(lambda: "reports_started" in log.read_text(), 30), log.read_text()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, log.read_text()
        finally:
            process.kill()


# ── Redis ──


def test_redis_user_is_created_on_a_server_and_on_a_sentinel(tmp_path: Path) -> None:
    """The user has the rights of `redis-acl` and the password of the file."""
    if shutil.which("redis-cli") is None:
        skip_or_fail("redis-cli is not installed")
    (tmp_path / "redis").write_text("of-the-server\n")
    (tmp_path / "sentinel").write_text("of-the-sentinel\n")
    text = block("docs/operations.md", "otp-service redis-acl").replace("/run/secrets", str(tmp_path))
    with running_server(redis_binary()) as server, running_sentinels(redis_binary(), replicas=0) as setup:
        sentinel = setup.sentinels[0]
        assert text.count("| redis-cli") == 2
        assert "redis-cli -p 26379" in text
        text = text.replace("-p 26379", f"-p {sentinel.port}").replace(
            "| redis-cli\n", f"| redis-cli -p {server.port}\n"
        )
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (result.returncode, result.stdout.split()) == (0, ["OK", "OK"]), result.stderr
        for node, password in ((server, "of-the-server"), (sentinel, "of-the-sentinel")):
            assert run_command(node, "AUTH", "otp_service", password) == "OK"
        assert "allkeys" not in str(run_command(server, "ACL", "LIST")).partition("otp_service")[2]
