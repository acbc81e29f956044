from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from otp_service.sandbox import SandboxConfig, create_sandbox
from otp_service.sandbox.config import DEFAULT_INTERNATIONAL_TEMPLATES, DEFAULT_TEMPLATES
from otp_service.sandbox.send_sms import send_sms
from otp_service.sandbox.state import SandboxState
from otp_service.sms.aliyun.protocol.templates import check_template

CONFIG = SandboxConfig.default({"testId": "testSecret"})


def _desk(**changes: Any) -> SandboxState:
    return create_sandbox(replace(CONFIG, **changes)).extensions["sandbox"]


def _params(template_param: str) -> Iterator[tuple[str, str]]:
    yield "PhoneNumbers", "13800138000"
    yield "SignName", "云通信测试"
    yield "TemplateCode", "SMS_100000001"
    yield "TemplateParam", template_param


@pytest.mark.parametrize("code", sorted(DEFAULT_TEMPLATES.keys() - DEFAULT_INTERNATIONAL_TEMPLATES))
def test_default_template_could_be_approved(code: str) -> None:
    """The rules are those for texts of the mainland."""
    check_template(DEFAULT_TEMPLATES[code])


@pytest.mark.parametrize(
    "param", ['{"code":"123456","product":"ytx"}', '{"code":123456}'], ids=["other_key", "number"]
)
def test_lenient_sandbox_takes_what_a_strict_one_refuses(param: str) -> None:
    desk = _desk(strict=False)
    send_sms(desk, dict(_params(param)))

    assert [message.code for message in desk.inbox.newest_first()] == ["123456"]


def test_template_without_variables_needs_no_param() -> None:
    desk = _desk(templates={"SMS_100000001": "您好"})
    send_sms(desk, dict(_params("")))

    assert [(message.text, message.code) for message in desk.inbox.newest_first()] == [
        ("【云通信测试】您好", "")
    ]
