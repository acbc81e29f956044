"""The action `SendSms`: one template, filled, to one or more numbers.

https://help.aliyun.com/document_detail/419273.html
"""

from __future__ import annotations

from collections.abc import Mapping

from otp_service.sandbox.answers import Answer, RawAnswer, Refused, accepted
from otp_service.sandbox.magic import behaviour_of
from otp_service.sandbox.sending import send
from otp_service.sandbox.state import SandboxState, demand
from otp_service.sandbox.validation import (
    Draft,
    check_extend_code,
    check_out_id,
    check_sign_name,
    fill,
    find_template,
    read_recipient,
)
from otp_service.sms.aliyun.protocol.numbers import MAX_RECIPIENTS


def send_sms(desk: SandboxState, params: Mapping[str, str]) -> Answer | RawAnswer:
    """Check a call as Aliyun does and put its SMS into the inbox.

    Raises:
        Refused: A check failed; nothing was sent, to nobody.
        Dropped: A magic number wants no answer.
    """
    drafts = _read(desk, params)
    behave = behaviour_of(draft.number for draft in drafts)
    return behave(lambda: accepted({"BizId": send(desk, drafts)}), desk.pause)


def _read(desk: SandboxState, params: Mapping[str, str]) -> list[Draft]:
    phones, sign_name, template_code = demand(params, "PhoneNumbers", "SignName", "TemplateCode")
    numbers = [read_recipient(desk.config, template_code, part) for part in _split(phones)]
    check_sign_name(desk.config, sign_name)
    template = find_template(desk.config, template_code)
    filling = fill(desk.config, template, params.get("TemplateParam", ""))
    out_id, extend_code = params.get("OutId", ""), params.get("SmsUpExtendCode", "")
    check_out_id(out_id)
    check_extend_code(extend_code)
    text = filling.signed(sign_name)
    return [
        Draft(number, sign_name, template_code, text, filling.code, out_id, extend_code) for number in numbers
    ]


def _split(text: str) -> list[str]:
    if text.count(",") >= MAX_RECIPIENTS:
        raise Refused("isv.MOBILE_COUNT_OVER_LIMIT")
    return text.split(",")
