from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from otp_service.sandbox import SandboxConfig, create_sandbox
from otp_service.sandbox.api.send_sms import send_sms
from otp_service.sandbox.config import DEFAULT_INTERNATIONAL_TEMPLATES, DEFAULT_TEMPLATES
from otp_service.sandbox.state import SandboxState
from otp_service.sms.aliyun.protocol.templates import check_template

CONFIG = SandboxConfig.default({"testId": "testSecret"})


def _state(**changes: Any) -> SandboxState:
    return create_sandbox(replace(CONFIG, **changes)).extensions["sandbox"]


def _params(template_param: str) -> Iterator[tuple[str, str]]:
    yield "PhoneNumbers", "13800138000"
    yield "SignName", "云通信测试"
    yield "TemplateCode", "SMS_100000001"
    yield "TemplateParam", template_param


@pytest.mark.parametrize("code", sorted(DEFAULT_TEMPLATES.keys() - DEFAULT_INTERNATIONAL_TEMPLATES))
def test_default_template_follows_the_rules(code: str) -> None:
    """The rules apply to templates for mainland numbers."""
    check_template(DEFAULT_TEMPLATES[code])


@pytest.mark.parametrize(
    "param", ['{"code":"123456","product":"ytx"}', '{"code":123456}'], ids=["other_key", "number"]
)
def test_sandbox_that_is_not_strict_accepts_more_params(param: str) -> None:
    state = _state(strict=False)
    send_sms(state, dict(_params(param)))

    assert [message.code for message in state.inbox.newest_first()] == ["123456"]


def test_template_without_variables_needs_no_param() -> None:
    state = _state(templates={"SMS_100000001": "您好"})
    send_sms(state, dict(_params("")))

    assert [(message.text, message.code) for message in state.inbox.newest_first()] == [
        ("【云通信测试】您好", "")
    ]
