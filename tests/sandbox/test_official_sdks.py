"""The sandbox is held to Aliyun's own SDKs, each in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otp_service.sandbox import SandboxConfig, SandboxServer, start_sandbox

_SDKS = Path(__file__).parents[1] / "sdks"
_NODE = shutil.which("node")
_SECONDS = 30

GOOD = {"accessKeyId": "testId", "secretAccessKey": "testSecret"}
WRONG_SECRET = {"accessKeyId": "testId", "secretAccessKey": "wrong"}
UNKNOWN_KEY = {"accessKeyId": "nobody", "secretAccessKey": "testSecret"}

pytestmark = pytest.mark.sdk


def _need(found: object, what: str) -> None:
    if found:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")


def _message(phone: str, **changes: str) -> dict[str, str]:
    return {
        "PhoneNumbers": phone,
        "SignName": "云通信测试",
        "TemplateCode": "SMS_100000001",
        "TemplateParam": '{"code":"123456"}',
        "OutId": "a b+c*d~e'f(g)h!i/j:k,l&m=验",
        **changes,
    }


def _run(command: list[str], url: str, sends: list[dict[str, Any]]) -> list[dict[str, Any]]:
    work = json.dumps({"url": url, "sends": sends})
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        command, input=work, capture_output=True, text=True, timeout=_SECONDS, check=False, env=kept
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _node(url: str, sends: list[dict[str, Any]]) -> list[dict[str, Any]]:
    _need(_NODE, "node")
    _need((_SDKS / "node_modules").is_dir(), "tests/sdks/node_modules (npm ci --prefix tests/sdks)")
    return _run([str(_NODE), str(_SDKS / "send.js")], url, sends)


def _python(url: str, sends: list[dict[str, Any]]) -> list[dict[str, Any]]:
    _need(importlib.util.find_spec("alibabacloud_dysmsapi20170525"), "alibabacloud-dysmsapi20170525")
    return _run([sys.executable, str(_SDKS / "send.py")], url, sends)


@pytest.fixture
def live() -> Iterator[SandboxServer]:
    """A sandbox on the machine's clock, as the SDKs read that one too."""
    with start_sandbox(SandboxConfig.default({"testId": "testSecret"})) as server:
        yield server


def _inbox(server: SandboxServer) -> list[dict[str, str]]:
    app = server._server.app
    return app.test_client().get("/inbox.json").json


SENDS = [
    {**GOOD, "message": _message("13800138000")},
    {**GOOD, "message": _message("13800002001")},
    {**WRONG_SECRET, "message": _message("13800138001")},
    {**UNKNOWN_KEY, "message": _message("13800138002")},
    {**GOOD, "message": _message("13800138003", SignName="不存在")},
]
CODES = [
    "OK",
    "isv.BUSINESS_LIMIT_CONTROL",
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId.NotFound",
    "isv.SMS_SIGNATURE_ILLEGAL",
]


def _assert_one_message(server: SandboxServer, biz_id: str) -> None:
    (message,) = _inbox(server)
    assert message["phone"] == "+8613800138000"
    assert message["biz_id"] == biz_id
    assert message["out_id"] == "a b+c*d~e'f(g)h!i/j:k,l&m=验"
    assert message["text"] == "【云通信测试】您正在登录，验证码123456，5分钟内有效，请勿泄露给他人。"


def test_node_sdk_is_understood(live: SandboxServer) -> None:
    results = _node(live.url, SENDS)

    assert [result["code"] for result in results] == CODES
    assert [result["resolved"] for result in results] == [True, False, False, False, False]
    _assert_one_message(live, results[0]["bizId"])


@pytest.mark.parametrize("algorithm", [None, "v2"], ids=["v3", "v1"])
def test_python_sdk_is_understood(live: SandboxServer, algorithm: str | None) -> None:
    sends = [{**send, "signatureAlgorithm": algorithm} for send in SENDS]
    results = _python(live.url, sends)

    assert [result["code"] for result in results] == CODES
    assert [result["resolved"] for result in results] == [True, True, False, False, True]
    _assert_one_message(live, results[0]["bizId"])


def _flow_controlled(server: SandboxServer, results: list[dict[str, Any]]) -> None:
    """Three sends to one number: a clock minute may end between two of them, but not twice."""
    codes = [result["code"] for result in results]
    assert codes[0] == "OK"
    assert "isv.BUSINESS_LIMIT_CONTROL" in codes
    assert "触发分钟级流控Permits:1" in [result.get("message") for result in results]
    assert len(_inbox(server)) == codes.count("OK")


def test_node_sdk_runs_into_flow_control(live: SandboxServer) -> None:
    _flow_controlled(live, _node(live.url, SENDS[:1] * 3))


def test_python_sdk_runs_into_flow_control(live: SandboxServer) -> None:
    _flow_controlled(live, _python(live.url, SENDS[:1] * 3))
