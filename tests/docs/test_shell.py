"""Shell blocks run unchanged, document by document, against a running stack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.deployment import ACCESS_KEY_ID, ACCESS_KEY_SECRET, config_text, make_secrets
from support.doc_blocks import ROOT, blocks_to_run
from support.redis_servers import Server, free_port

from otp_service.sandbox import SandboxConfig, start_sandbox

from .terminal import Terminal, as_json

PHONE = "+8613800138000"
SHELLS = blocks_to_run("sh")
DOCUMENTS = sorted({block.document for block in SHELLS})

REFUSED: dict[tuple[str, str], str] = {
    # (document, command): the problem code if it is run right after the others
    ("docs/api.md", "a resend"): "cooldown_active",  # a minute has to pass
    ("docs/api.md", "/otp/cancel"): "already_verified",
    ("docs/api.md", "/otp/unlock"): "forbidden",  # the client of `make run` has no `may_unlock`
}


@pytest.fixture
def terminal(tmp_path: Path, redis_server: Server) -> Iterator[Terminal]:
    """A terminal in a directory with a configuration, a phone and the sources, as the docs assume."""
    with start_sandbox(SandboxConfig.default({ACCESS_KEY_ID: ACCESS_KEY_SECRET})) as sandbox:
        config = config_text(redis_server.url, sandbox.url, free_port(), make_secrets())
        (tmp_path / "config.toml").write_text(config)
        (tmp_path / "phone.txt").write_text(f"{PHONE}\n")
        (tmp_path / "docs").mkdir()
        (tmp_path / "clients").symlink_to(ROOT / "clients")
        (tmp_path / "tools").symlink_to(ROOT / "tools")
        with Terminal(tmp_path, PHONE) as terminal:
            yield terminal


def refusals(document: str, text: str, outputs: list[str]) -> list[str]:
    """Return the printed problem codes, except the expected ones."""
    answers = [as_json(output) for output in outputs]
    problems = [str(answer["code"]) for answer in answers if str(answer.get("type", "")).startswith("urn:")]
    is_resend = "/otp/request" in text and "verification_id" in text
    expected = [
        code
        for (where, what), code in REFUSED.items()
        if where == document and (is_resend if what == "a resend" else what in text)
    ]
    assert not expected or problems == expected
    return [] if expected else problems


@pytest.mark.parametrize("document", DOCUMENTS)
def test_shell_blocks_run_unchanged(document: str, terminal: Terminal, tmp_path: Path) -> None:
    for block in (block for block in SHELLS if block.document == document):
        outputs = terminal.type(block.text)
        assert refusals(document, block.text, outputs) == [], block.text
    if document == "docs/aliyun-errors.md":
        assert (tmp_path / document).read_text() == (ROOT / document).read_text()


def test_two_calls_of_the_readme_end_in_a_proof(terminal: Terminal) -> None:
    answers = [
        as_json(output)
        for block in SHELLS
        if block.document == "README.md" and "curl" in block.text
        for output in terminal.type(block.text)
    ]
    assert [sorted(answer) for answer in answers] == [sorted(shown) for shown in shown_in_the_readme()]
    assert answers[1]["proof"]


def shown_in_the_readme() -> list[dict[str, object]]:
    return [json.loads(block.text) for block in blocks_to_run("json") if block.document == "README.md"]
