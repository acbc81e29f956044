"""`otp-service sandbox`: the account of a file, and the mistakes in it."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from click.testing import CliRunner, Result

from otp_service.cli.main import main
from otp_service.cli.sandbox import _config
from otp_service.observability.clock import SystemClock
from otp_service.settings.sandbox_account import load_account
from otp_service.sms.aliyun.api import AliyunApi
from otp_service.sms.aliyun.signed_request import AccessKey
from otp_service.sms.http import HttpClient

ROOT = Path(__file__).parents[2]
EXAMPLE = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/sandbox.md").read_text(encoding="utf-8"), re.DOTALL)[
    0
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sandbox.toml"
    path.write_text(EXAMPLE, encoding="utf-8")
    return path


@contextmanager
def started(*arguments: str, lines: int = 2) -> Iterator[dict[str, str]]:
    """Run the sandbox until the block ends; yield what it says of itself."""
    command = [sys.executable, "-m", "otp_service", "sandbox", "--port", "0", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            told = [process.stdout.readline() for _ in range(lines)]
            yield {line[:10].strip(): line[10:].strip() for line in told}
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()


def asked(url: str, key: AccessKey, action: str, **params: str) -> dict[str, Any]:
    api = AliyunApi(
        keys=[key],
        version="2017-05-25",
        endpoint=url,
        http=HttpClient(max_connections=1),
        clock=SystemClock(),
    )
    try:
        told: dict[str, Any] = json.loads(api.call(action, params, seconds=10).body)
    finally:
        api.close()
    return told


def refused(*arguments: str) -> Result:
    done = CliRunner().invoke(main, ["sandbox", *arguments])
    assert done.exit_code == 2
    return done


def test_example_of_the_docs_is_the_account(file: Path) -> None:
    key, temporary = AccessKey("testId", "testSecret"), AccessKey("STS.one", "temporary", "belongs to it")
    sms = {"PhoneNumbers": "13800138000", "SignName": "我的签名", "TemplateParam": '{"code":"123456"}'}
    with started("--config", str(file)) as told:
        sent = asked(told["sandbox"], key, "SendSms", TemplateCode="SMS_1", **sms)
        by_sts = asked(told["sandbox"], temporary, "QuerySmsSign", SignName="我的签名")
        in_review = asked(told["sandbox"], key, "QuerySmsSign", SignName="在审签名")
        rejected = asked(told["sandbox"], key, "QuerySmsTemplate", TemplateCode="SMS_2")
        with urlopen(f"{told['inbox']}.json") as answer:  # noqa: S310
            inbox = json.load(answer)

    assert (sent["Code"], by_sts["SignStatus"], in_review["SignStatus"]) == ("OK", 1, 0)
    assert (rejected["TemplateStatus"], rejected["Reason"]) == (2, "模板内容与所选类型不符")
    assert inbox[0]["code"] == "123456"


def test_every_setting_of_the_example_reaches_the_sandbox(file: Path) -> None:
    config = _config(load_account(file), {"testId": "testSecret"})

    assert (config.strict, config.inbox_size, config.delivery_seconds) == (False, 100, 1.5)
    assert (config.queue_prefix, config.invisible_seconds, config.queue_key_seconds) == (
        "Alicom-Queue-1-",
        5,
        60,
    )
    assert config.report_time_factor == 0.01
    assert sorted(config.report_urls.values()) == [
        "http://127.0.0.1:8080/replies",
        "http://127.0.0.1:8080/reports",
    ]
    assert config.sts_keys["STS.one"].security_token == "belongs to it"


def test_options_count_more_than_the_file(file: Path) -> None:
    account = load_account(file, delivery_seconds=9.0, report_url="http://127.0.0.1:1/")

    assert (account.delivery_seconds, account.report_url) == (9.0, "http://127.0.0.1:1/")
    assert account.reply_url == "http://127.0.0.1:8080/replies"


def test_port_that_is_taken_is_told_in_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = refused("--port", str(port)).output

    assert told == f"cannot listen on 127.0.0.1, port {port}: Address already in use\n"
    assert "no such address" in refused("--host", "no-such-host.invalid").output


def test_what_a_call_needs_is_told(file: Path) -> None:
    """The key, and what has passed its review: a first call from another program needs nothing else."""
    with started(lines=5) as told:
        assert told["signs"] == "云通信测试"
        assert "SMS_100000001" in told["templates"].split(", ")
        assert "SMS_100000008" not in told["templates"]
        name, _, secret = told["key"].partition(":")
        params = {"SignName": told["signs"], "TemplateCode": told["templates"].split(", ")[0]}
        sent = asked(
            told["sandbox"],
            AccessKey(name, secret),
            "SendSms",
            PhoneNumbers="13800138000",
            TemplateParam='{"code":"123456"}',
            **params,
        )
        assert sent["Code"] == "OK"
    with started("--config", str(file), lines=4) as told:
        assert (told["signs"], told["templates"]) == ("我的签名", "SMS_1, SMS_3")


def test_nothing_said_is_the_default_account() -> None:
    config = _config(load_account(None), {"a": "b"})

    assert "云通信测试" in config.sign_names
    assert config.delivery_seconds == 0
    assert config.report_urls == {}


def test_all_mistakes_are_told_at_once_without_a_value(file: Path) -> None:
    file.write_text(
        'delivery_seconds = -1\nnothing = "x"\nreport_url = "ftp://secret"\n'
        '[access_keys]\ntestId = 7\n[reviews.SMS_2]\nstate = "lost"\n[templates]\nCODE = "x"\n',
        encoding="utf-8",
    )
    told = refused("--config", str(file)).output

    places = (
        "delivery_seconds",
        "nothing",
        "report_url",
        "access_keys.testId",
        "reviews.SMS_2.state",
        "templates",
    )
    for place in places:
        assert f"  {place}" in told
    assert "secret" not in told
    assert "lost" not in told


@pytest.mark.parametrize("content", [b"= no toml", b"\xff\xfe"])
def test_file_that_is_no_toml_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    assert "sandbox.toml: " in refused("--config", str(file)).output


def test_file_that_is_not_there_and_odd_options_are_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused("--config", str(tmp_path / "none.toml")).output
    assert "delivery_seconds" in refused("--delivery-seconds", "-1").output
    assert "report_url" in refused("--report-url", "somewhere").output
