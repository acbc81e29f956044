"""The output in the docs matches the output of the commands, except for numbers and ids."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import redis
from cli.test_admin_commands import ADDRESS, fail, run_precheck
from click.testing import CliRunner
from support.chromium import running_dev
from support.deployment import Answer, config_text, make_secrets, new_phone, post
from support.doc_blocks import ROOT, Block, blocks_to_run
from support.phone_in_store import RIGHT, Phone, make_phone
from support.redis_servers import free_port, redis_binary
from support.redis_servers import running as running_server

from otp_service.cli.main import main
from otp_service.domain.risk import PhoneKey
from otp_service.domain.verification import DeliveryReport, DeliveryStatus, SendDisposition
from otp_service.sandbox import SandboxConfig, start_sandbox
from otp_service.sandbox.config import DEFAULT_REVIEWS
from otp_service.settings import Settings, load
from otp_service.store import keys
from otp_service.store.encoding import day

NUMBER = "+8613800138000"
IN_REVIEW = next(iter(DEFAULT_REVIEWS))
SHOWN_SIGN_NAME, SANDBOX_SIGN_NAME = "云通信", "云通信测试"


@dataclass
class CommandSetup:
    """The configuration, Redis and sandbox for a command of the docs."""

    config: Path
    settings: Settings
    client: redis.Redis
    phone: Phone

    def run(self, command: str) -> str:
        """Run *command*, answer yes to every question, and return the output."""
        words = shlex.split(command.removeprefix("$ otp-service ").partition("<")[0])
        words[words.index("--config") + 1] = str(self.config)
        typed = "" if "--address" in words or words[0] == "doctor" else f"{NUMBER}\ny\n"
        return CliRunner().invoke(main, words, input=typed).output


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[CommandSetup]:
    account = SandboxConfig.default({"LTAIexample": "testSecret"})
    account = replace(account, sign_names=(*account.sign_names, SHOWN_SIGN_NAME))
    with (
        running_server(redis_binary()) as server,
        server.client() as client,
        start_sandbox(account) as sandbox,
    ):
        text = config_text(server.url, sandbox.url, free_port(), make_secrets())
        text = text.replace('"debug"', '"info"').replace('"testId"', '"LTAIexample"')
        config = tmp_path / "config.toml"
        config.write_text(text)
        config.chmod(0o600)
        settings = load(config, {})
        phone = make_phone(client)
        phone.phone_key = PhoneKey(settings.keyring().phone_hash(NUMBER), phone.phone_key.limits)
        yield CommandSetup(config, settings, client, phone)


# ── prepared states ──


def nothing(_: CommandSetup) -> None:
    """Change nothing."""


def known_and_sent_to(setup: CommandSetup) -> None:
    """Verify the phone once, and send it an SMS just now."""
    setup.phone.pass_time(-3600)
    setup.phone.submit(setup.phone.open(), RIGHT)
    setup.phone.runner.offset_ms = 0
    setup.phone.pass_time(-17)
    setup.phone.open()


def locked(setup: CommandSetup) -> None:
    fail(setup.phone, 100)


def many_unverified(setup: CommandSetup) -> None:
    run_precheck(setup.phone, setup.settings, ADDRESS, 21)


def sign_name_in_review(setup: CommandSetup) -> None:
    setup.config.write_text(setup.config.read_text().replace(SANDBOX_SIGN_NAME, IN_REVIEW))


def many_wrong_codes(setup: CommandSetup) -> None:
    setup.client.set(keys.global_failures(day(time.time())), "712 9312", ex=3600)


def rejected_and_undelivered(setup: CommandSetup) -> None:
    """Send an SMS that does not arrive, and one that is rejected for its number."""
    phone = setup.phone
    phone.pass_time(-3600)
    verification = phone.open()
    phone.store.apply_delivery_reports(
        [
            DeliveryReport(
                phone.phone_key.phone_hash,
                verification.verification_hash,
                1,
                DeliveryStatus.UNDELIVERED,
                "MOBILE_NOT_ON_SERVICE",
            )
        ]
    )
    phone.runner.offset_ms = 0
    phone.record_result(
        phone.open(result=None), SendDisposition.RECIPIENT_REJECTED, provider_code="isv.MOBILE_NUMBER_ILLEGAL"
    )


BEFORE: dict[str, Callable[[CommandSetup], None]] = {
    "alarm": many_wrong_codes,
    "doctor": sign_name_in_review,
    "send-test": nothing,
    "history": rejected_and_undelivered,
    "limits": known_and_sent_to,
    "limits --address": many_unverified,
    "limits --json": known_and_sent_to,
    "unlock": locked,
    "erase-phone": known_and_sent_to,
}


def kind(block: Block) -> str:
    words = block.first_line.removeprefix("$ otp-service ").split()
    return " ".join([words[0], *(word for word in words if word in {"--address", "--json"})])


def shape(text: str) -> list[str]:
    """Return the lines with placeholders for numbers and ids, without prompts and log lines."""
    lines = [line.rstrip() for line in text.splitlines() if not line.startswith(("Phone:", '{"time"'))]
    text = "\n".join(line for line in lines if line)
    text = re.sub(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", "ID", text)
    text = re.sub(r"(?<=\[y/N\]: )\w", "y", text)
    text = re.sub(r"(?<=phone hash )\S+|(?<=  verification )\S+(?=…)", "HASH", text)
    return re.sub(r"\d+(\.\d+)*", "#", text).splitlines()


CONSOLE = blocks_to_run("console")


@pytest.mark.parametrize("block", [block for block in CONSOLE if kind(block) != "doctor"], ids=kind)
def test_output_in_the_docs_matches_the_command(block: Block, setup: CommandSetup) -> None:
    BEFORE[kind(block)](setup)
    command, _, shown = block.text.partition("\n")

    assert shape(setup.run(command)) == shape(shown)


OF_A_REMOTE_HOST = {
    "ok    tls         main  TLSv#, the certificate is valid": "the certificate is valid",
}
"""Lines that a sandbox on this machine has none of, and what the sources say there."""


def test_output_of_doctor_in_the_docs_matches_it(setup: CommandSetup) -> None:
    """The output has every line of the docs in the same order, except for host names, keys and sign names."""
    (block,) = (block for block in CONSOLE if kind(block) == "doctor")
    sign_name_in_review(setup)
    command, _, shown = block.text.partition("\n")
    printed = [
        line.replace("dysmsapi.aliyuncs.com", "HOST")
        .replace("#", "HOST", 1 if " dns " in line else 0)
        .replace(SHOWN_SIGN_NAME, "NAME")
        .replace(IN_REVIEW, "NAME")
        for line in shape(setup.run(command))
    ]
    wanted = [
        line.replace("dysmsapi.aliyuncs.com", "HOST").replace(SHOWN_SIGN_NAME, "NAME")
        for line in shape(shown)
    ]
    sources = "".join(path.read_text() for path in (ROOT / "otp_service" / "cli" / "doctor").glob("*.py"))

    assert all(text in sources for text in OF_A_REMOTE_HOST.values())
    assert [line for line in wanted if line not in OF_A_REMOTE_HOST] == printed


def test_every_output_has_a_prepared_state() -> None:
    assert {kind(block) for block in CONSOLE} == set(BEFORE)


# ── headers ──


def test_header_lines_in_the_docs_match_the_answers() -> None:
    shown = [line for block in blocks_to_run("headers") for line in shape(block.text)]
    with running_dev() as dev:

        def ask(key: str, **body: Any) -> Answer:
            return post(
                f"{dev.service_url}/otp/request",
                {"phone": phone, "purpose": "login", **body},
                Authorization=f"Bearer {key}",
            )

        phone = new_phone()
        sent = ask(dev.secret_key)
        assert sent.status == 201
        refused = ask(dev.secret_key)
    received = {
        shape(f"{name}: {value}")[0]
        for answer in (sent, refused)
        for name, value in answer.headers.items()
        if name.lower().startswith("ratelimit")
    }

    assert shown
    assert {line for line in shown if line.startswith("RateLimit")} >= {
        line for line in received if "verification_sends" in line
    }
    assert [line for line in shown if not line.startswith("RateLimit")] == ["Authorization: Bearer sk_..."]
