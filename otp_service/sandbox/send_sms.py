"""The action `SendSms`: one template, filled, to one or more numbers.

https://help.aliyun.com/document_detail/419273.html
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from otp_service.aliyun import templates
from otp_service.aliyun.flow import FLOW_CONTROL_CODE, flow_message
from otp_service.aliyun.numbers import (
    MAX_RECIPIENTS,
    NotMainlandMobile,
    e164,
    recipients,
)
from otp_service.sandbox.answers import Answer, RawAnswer, Refused, accepted
from otp_service.sandbox.desk import Desk, demand
from otp_service.sandbox.inbox import Message
from otp_service.sandbox.magic import behaviour_of

_MAX_OUT_ID = 255
_EXTEND_CODE = re.compile(r"[0-9]{0,7}")
_LENIENT = (templates.ParamRule.STRINGS_ONLY, templates.ParamRule.NO_OTHER_KEYS)


@dataclass(frozen=True)
class _Draft:
    """A call that has passed every check but flow control."""

    numbers: list[str]
    sign_name: str
    template_code: str
    text: str
    code: str
    out_id: str


def send_sms(desk: Desk, params: Mapping[str, str]) -> Answer | RawAnswer:
    """Check a call as Aliyun does and put its SMS into the inbox.

    Raises:
        Refused: A check failed; nothing was sent, to nobody.
        Dropped: A magic number wants no answer.
    """
    draft = _read(desk, params)
    behave = behaviour_of(draft.numbers)
    return behave(lambda: _deliver(desk, draft), desk.pause)


def _read(desk: Desk, params: Mapping[str, str]) -> _Draft:
    phones, sign_name, template_code = demand(params, "PhoneNumbers", "SignName", "TemplateCode")
    numbers = _numbers(phones)
    if sign_name not in desk.config.sign_names:
        raise Refused("isv.SMS_SIGNATURE_ILLEGAL")
    template = desk.config.templates.get(template_code)
    if template is None:
        raise Refused("isv.SMS_TEMPLATE_ILLEGAL")
    filling = _filling(template, params.get("TemplateParam", ""), desk.config.strict)
    _check_extras(params)
    return _Draft(
        numbers=numbers,
        sign_name=sign_name,
        template_code=template_code,
        text=templates.render(sign_name, template, filling),
        code=filling.get(_code_variable(template), ""),
        out_id=params.get("OutId", ""),
    )


def _numbers(text: str) -> list[str]:
    if text.count(",") >= MAX_RECIPIENTS:
        raise Refused("isv.MOBILE_COUNT_OVER_LIMIT")
    try:
        return recipients(text)
    except NotMainlandMobile as error:
        raise Refused("isv.MOBILE_NUMBER_ILLEGAL", f"{error.number}invalid mobile number") from error


def _filling(template: str, text: str, strict: bool) -> dict[str, str]:  # noqa: FBT001 - private.
    names = templates.variables(template)
    if not (names or text):
        return {}
    try:
        params = templates.parse_params(text or "{}")
        waived = () if strict else _LENIENT
        templates.check_params(names, params, waived=waived)
    except templates.BadParam as error:
        raise Refused(error.rule.code, error.rule.message) from error
    return {name: str(params[name]) for name in names}


def _code_variable(template: str) -> str:
    return templates.code_variable(templates.variables(template)) or ""


def _check_extras(params: Mapping[str, str]) -> None:
    if len(params.get("OutId", "")) > _MAX_OUT_ID:
        raise Refused("isv.PARAM_LENGTH_LIMIT", f"参数超过长度限制:{_MAX_OUT_ID}")
    if not _EXTEND_CODE.fullmatch(params.get("SmsUpExtendCode", "")):
        raise Refused("isv.EXTEND_CODE_ERROR")


def _deliver(desk: Desk, draft: _Draft) -> Answer:
    now = desk.clock()
    full = desk.flow_control.take(draft.sign_name, draft.numbers, now)
    if full is not None:
        raise Refused(FLOW_CONTROL_CODE, flow_message(full))
    biz_id = f"{secrets.randbelow(10**18):018}^0"
    desk.inbox.add(
        Message(
            phone=e164(number),
            sign_name=draft.sign_name,
            template_code=draft.template_code,
            text=draft.text,
            code=draft.code,
            out_id=draft.out_id,
            biz_id=biz_id,
            received_at=now,
        )
        for number in draft.numbers
    )
    return accepted(BizId=biz_id)
