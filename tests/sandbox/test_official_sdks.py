"""The sandbox works with Alibaba Cloud's own SDKs. Each makes a list of calls in its own process."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from sandbox.xml_parsing import parse_xml
from support.redis_servers import skip_or_fail

from otp_service.sandbox import SandboxConfig, SandboxServer, StsKey, start_sandbox
from otp_service.sandbox.config import DEFAULT_QUEUE_PREFIX, REJECTED_SIGN_NAME
from otp_service.sms.aliyun.protocol.timestamps import china_date

_SDKS = Path(__file__).parents[1] / "sdks"
_SECONDS = 60

SPECIAL_CHARACTERS = "a b+c*d~e'f(g)h!i/j:k,l&m=验"
SECURITY_TOKEN = "security+token/with=chars"

VALID_KEY = {"accessKeyId": "testId", "secret": "testSecret"}
WRONG_SECRET = {"accessKeyId": "testId", "secret": "wrong"}
UNKNOWN_KEY = {"accessKeyId": "unknownId", "secret": "testSecret"}
TEMPORARY = {"accessKeyId": "STS.one", "secret": "s", "securityToken": SECURITY_TOKEN}

pytestmark = pytest.mark.sdk


@dataclass(frozen=True)
class Sdk:
    """The command that runs one SDK, and how it reports errors."""

    script: str
    #: The package that must be installed.
    package: str
    #: Whether it raises errors that the SMS service returns with HTTP 200.
    raises_refusals: bool = False
    #: The error code that it reports for a wrong secret.
    wrong_secret: str = "SignatureDoesNotMatch"
    #: Options added to every call.
    always: tuple[tuple[str, str], ...] = ()

    def run(self, url: str, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        job = json.dumps({"url": url, "calls": [{**call, **dict(self.always)} for call in calls]})
        environment = {
            name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
        }
        result = subprocess.run(
            [self._program(), str(_SDKS / self.script)],
            input=job,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            env=environment,
        )
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def _program(self) -> str:
        if self.script.endswith(".py"):
            if importlib.util.find_spec(self.package) is None:
                skip_or_fail(f"the Python package {self.package} is missing")
            return sys.executable
        node = shutil.which("node")
        if node is None or not (_SDKS / "node_modules" / self.package).is_dir():
            skip_or_fail(f"node or {self.package} is missing (npm ci --prefix tests/sdks)")
        return str(node)


SMS_SDK = Sdk("sms_sdk.js", "@alicloud/sms-sdk", raises_refusals=True)
NEW_NODE = Sdk("dysmsapi.js", "@alicloud/dysmsapi20170525")
NEW_PYTHON = Sdk("dysmsapi.py", "alibabacloud_dysmsapi20170525")
OLD_PYTHON = Sdk("dysmsapi_old.py", "aliyunsdkdysmsapi", wrong_secret="InvalidAccessKeySecret")
V1 = (("signatureAlgorithm", "v2"),)
ALL = {
    "sms_sdk": SMS_SDK,
    "new_node": NEW_NODE,
    "new_node_v1": replace(NEW_NODE, always=V1),
    "new_python": NEW_PYTHON,
    "new_python_v1": replace(NEW_PYTHON, always=V1),
    "old_python": OLD_PYTHON,
}
NEW = {name: sdk for name, sdk in ALL.items() if name.startswith("new")}


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def server(now: datetime) -> Iterator[SandboxServer]:
    """Start a sandbox with a stopped clock, so that no flow control window ends between two calls."""
    config = SandboxConfig.default({"testId": "testSecret"})
    config = replace(config, sts_keys={"STS.one": StsKey("s", SECURITY_TOKEN)})
    with start_sandbox(config, clock=lambda: now) as server:
        yield server


def _inbox(server: SandboxServer) -> list[dict[str, str]]:
    return requests.get(f"{server.inbox_url}.json", timeout=5).json()


def _send(phone: str, key: dict[str, str] = VALID_KEY, **changes: str) -> dict[str, Any]:
    message = {
        "PhoneNumbers": phone,
        "SignName": "云通信测试",
        "TemplateCode": "SMS_100000001",
        "TemplateParam": '{"code":"123456"}',
        "OutId": SPECIAL_CHARACTERS,
        **changes,
    }
    return {**key, "action": "SendSms", "params": message}


BATCH = {
    **VALID_KEY,
    "action": "SendBatchSms",
    "params": {
        "PhoneNumberJson": '["13900139000","13900139001"]',
        "SignNameJson": '["云通信测试","云通信测试"]',
        "TemplateCode": "SMS_100000001",
        "TemplateParamJson": '[{"code":"1111"},{"code":"2222"}]',
    },
}


def _query(phone: str, now: datetime) -> dict[str, Any]:
    params = {"PhoneNumber": phone, "SendDate": china_date(now), "PageSize": 10, "CurrentPage": 1}
    return {**VALID_KEY, "action": "QuerySendDetails", "params": params}


def _code(result: dict[str, Any]) -> str:
    return result["body"]["Code"] if result["resolved"] else result["code"]


@pytest.mark.parametrize("sdk", ALL.values(), ids=ALL)
def test_sdk_sends_queries_and_reports_errors(server: SandboxServer, now: datetime, sdk: Sdk) -> None:
    sent, batch, query, failed, full, sign, secret, unknown = sdk.run(
        server.url,
        [
            _send("13800138000"),
            BATCH,
            _query("13800138000", now),
            _query("13800001001", now),
            _send("13800138000"),
            _send("13800138001", SignName="不存在"),
            _send("13800138002", WRONG_SECRET),
            _send("13800138003", UNKNOWN_KEY),
        ],
    )

    assert [_code(result) for result in (sent, batch, query, failed)] == ["OK"] * 4
    _assert_rows(query, failed)
    _assert_three_messages(server, sent["body"]["BizId"], batch["body"]["BizId"])
    assert [_code(full), _code(sign)] == ["isv.BUSINESS_LIMIT_CONTROL", "isv.SMS_SIGNATURE_ILLEGAL"]
    assert [full["resolved"], sign["resolved"]] == [not sdk.raises_refusals] * 2
    assert [secret["resolved"], _code(secret)] == [False, sdk.wrong_secret]
    assert [unknown["resolved"], _code(unknown)] == [False, "InvalidAccessKeyId.NotFound"]


def _assert_rows(query: dict[str, Any], failed: dict[str, Any]) -> None:
    (row,) = query["body"]["SmsSendDetailDTOs"]["SmsSendDetailDTO"]
    assert (row["PhoneNum"], row["SendStatus"], row["ErrCode"]) == ("13800138000", 3, "DELIVERED")
    assert row["OutId"] == SPECIAL_CHARACTERS
    assert int(query["body"]["TotalCount"]) == 1
    assert int(failed["body"]["TotalCount"]) == 0


def _assert_three_messages(server: SandboxServer, sent: str, batch: str) -> None:
    messages = {message["phone"]: message for message in _inbox(server)}
    first = messages["+8613800138000"]
    assert (first["biz_id"], first["out_id"]) == (sent, SPECIAL_CHARACTERS)
    assert first["text"] == "【云通信测试】您正在登录，验证码123456，5分钟内有效，请勿泄露给他人。"
    assert (messages["+8613900139000"]["code"], messages["+8613900139001"]["code"]) == ("1111", "2222")
    assert messages["+8613900139000"]["biz_id"] == batch
    assert len(messages) == 3


@pytest.mark.parametrize("sdk", NEW.values(), ids=NEW)
def test_new_sdk_reads_reviews_and_sends_security_tokens(server: SandboxServer, sdk: Sdk) -> None:
    old_sign, new_sign, old_template, new_template, temporary, mismatch = sdk.run(
        server.url,
        [
            {**VALID_KEY, "action": "QuerySmsSign", "params": {"SignName": "云通信测试"}},
            {**VALID_KEY, "action": "GetSmsSign", "params": {"SignName": REJECTED_SIGN_NAME}},
            {**VALID_KEY, "action": "QuerySmsTemplate", "params": {"TemplateCode": "SMS_100000008"}},
            {**VALID_KEY, "action": "GetSmsTemplate", "params": {"TemplateCode": "SMS_100000001"}},
            _send("13800138000", TEMPORARY),
            _send("13800138001", {**TEMPORARY, "securityToken": "x"}),
        ],
    )

    assert old_sign["body"]["SignStatus"] == 1
    assert new_sign["body"]["SignStatus"] == 2
    assert new_sign["body"]["AuditInfo"]["RejectInfo"]
    assert len(new_sign["body"]["SignIspRegisterDetailList"]) == 3
    assert old_template["body"]["TemplateStatus"] == 0
    assert new_template["body"]["TemplateStatus"] == "1"
    assert "${code}" in new_template["body"]["TemplateContent"]
    assert [_code(temporary), _code(mismatch)] == ["OK", "InvalidSecurityToken.Malformed"]


def test_old_python_sdk_parses_xml(server: SandboxServer) -> None:
    (sent,) = OLD_PYTHON.run(server.url, [{**_send("13800138000"), "format": "XML"}])

    root = parse_xml(sent["body"])
    assert (root.tag, root.findtext("Code")) == ("SendSmsResponse", "OK")


def _receive(kind: int) -> dict[str, Any]:
    return {**VALID_KEY, "action": "receiveMsg", "params": [kind, DEFAULT_QUEUE_PREFIX, 1, True]}


def _body(result: dict[str, Any]) -> dict[str, Any]:
    assert result["resolved"], result
    assert result["body"]["code"] == 200
    return json.loads(base64.b64decode(result["body"]["body"]["MessageBody"]))


def test_sms_sdk_receives_a_report_and_a_reply(server: SandboxServer) -> None:
    reply = {"phone": "13800138000", "content": "退订"}
    requests.post(f"{server.inbox_url}/reply", json=reply, timeout=5).raise_for_status()
    sent, report, up, no_more = SMS_SDK.run(
        server.url, [_send("13800138000"), _receive(0), _receive(1), _receive(0)]
    )

    received = _body(report)
    assert (received["biz_id"], received["out_id"], received["success"]) == (
        sent["body"]["BizId"],
        SPECIAL_CHARACTERS,
        True,
    )
    assert (_body(up)["phone_number"], _body(up)["content"]) == ("13800138000", "退订")
    assert [no_more["resolved"], no_more["name"]] == [False, "MNSMessageNotExistError"]
