"""`otp-service sandbox`: the account in a file, and errors in the file."""

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
    """Run the sandbox until the block ends; yield the lines that it prints, by name."""
    command = [sys.executable, "-m", "otp_service", "sandbox", "--port", "0", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            printed = [process.stdout.readline() for _ in range(lines)]
            yield {line[:10].strip(): line[10:].strip() for line in printed}
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()


def call_action(url: str, key: AccessKey, action: str, **params: str) -> dict[str, Any]:
    api = AliyunApi(
        keys=[key],
        version="2017-05-25",
        endpoint=url,
        http=HttpClient(max_connections=1),
        clock=SystemClock(),
    )
    try:
        answer: dict[str, Any] = json.loads(api.call(action, params, seconds=10).body)
    finally:
        api.close()
    return answer


def rejected_run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["sandbox", *arguments])
    assert result.exit_code == 2
    return result


def test_example_in_the_docs_is_used_as_account(file: Path) -> None:
    key, temporary = AccessKey("testId", "testSecret"), AccessKey("STS.one", "temporary", "belongs to it")
    sms = {"PhoneNumbers": "13800138000", "SignName": "我的签名", "TemplateParam": '{"code":"123456"}'}
    with started("--config", str(file)) as printed:
        sent = call_action(printed["sandbox"], key, "SendSms", TemplateCode="SMS_1", **sms)
        by_sts = call_action(printed["sandbox"], temporary, "QuerySmsSign", SignName="我的签名")
        in_review = call_action(printed["sandbox"], key, "QuerySmsSign", SignName="在审签名")
        rejected = call_action(printed["sandbox"], key, "QuerySmsTemplate", TemplateCode="SMS_2")
        with urlopen(f"{printed['inbox']}.json") as answer:  # noqa: S310
            inbox = json.load(answer)

    assert (sent["Code"], by_sts["SignStatus"], in_review["SignStatus"]) == ("OK", 1, 0)
    assert (rejected["TemplateStatus"], rejected["Reason"]) == (2, "模板内容与所选类型不符")
    assert inbox[0]["code"] == "123456"


def test_every_setting_of_the_example_is_used(file: Path) -> None:
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


def test_options_override_the_file(file: Path) -> None:
    account = load_account(file, delivery_seconds=9.0, report_url="http://127.0.0.1:1/")

    assert (account.delivery_seconds, account.report_url) == (9.0, "http://127.0.0.1:1/")
    assert account.reply_url == "http://127.0.0.1:8080/replies"


def test_occupied_port_is_reported_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        printed = rejected_run("--port", str(port)).output

    assert printed == f"cannot listen on 127.0.0.1, port {port}: Address already in use\n"
    assert "no such address" in rejected_run("--host", "no-such-host.invalid").output


def test_parameters_of_a_first_call_are_printed(file: Path) -> None:
    """The key and the approved sign names and templates are all that a first call needs."""
    with started(lines=5) as printed:
        assert printed["signs"] == "云通信测试"
        assert "SMS_100000001" in printed["templates"].split(", ")
        assert "SMS_100000008" not in printed["templates"]
        name, _, secret = printed["key"].partition(":")
        params = {"SignName": printed["signs"], "TemplateCode": printed["templates"].split(", ")[0]}
        sent = call_action(
            printed["sandbox"],
            AccessKey(name, secret),
            "SendSms",
            PhoneNumbers="13800138000",
            TemplateParam='{"code":"123456"}',
            **params,
        )
        assert sent["Code"] == "OK"
    with started("--config", str(file), lines=4) as printed:
        assert (printed["signs"], printed["templates"]) == ("我的签名", "SMS_1, SMS_3")


def test_default_account_is_used_without_a_file() -> None:
    config = _config(load_account(None), {"a": "b"})

    assert "云通信测试" in config.sign_names
    assert config.delivery_seconds == 0
    assert config.report_urls == {}


def test_all_issues_of_the_file_are_reported_without_values(file: Path) -> None:
    file.write_text(
        'delivery_seconds = -1\nnothing = "x"\nreport_url = "ftp://secret"\n'
        '[access_keys]\ntestId = 7\n[reviews.SMS_2]\nstate = "lost"\n[templates]\nCODE = "x"\n',
        encoding="utf-8",
    )
    printed = rejected_run("--config", str(file)).output

    places = (
        "delivery_seconds",
        "nothing",
        "report_url",
        "access_keys.testId",
        "reviews.SMS_2.state",
        "templates",
    )
    for place in places:
        assert f"  {place}" in printed
    assert "secret" not in printed
    assert "lost" not in printed


@pytest.mark.parametrize("content", [b"= no toml", b"\xff\xfe"])
def test_file_that_is_not_toml_is_rejected(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    assert "sandbox.toml: " in rejected_run("--config", str(file)).output


def test_missing_file_and_invalid_options_are_rejected(tmp_path: Path) -> None:
    assert "cannot be read" in rejected_run("--config", str(tmp_path / "none.toml")).output
    assert "delivery_seconds" in rejected_run("--delivery-seconds", "-1").output
    assert "report_url" in rejected_run("--report-url", "somewhere").output
