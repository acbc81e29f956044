"""The action `SendBatchSms`: one template to many numbers, each with its own sign name and values.

https://help.aliyun.com/document_detail/419274.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

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

#: The most numbers that one call takes.
MAX_BATCH = 100


def send_batch_sms(desk: SandboxState, params: Mapping[str, str]) -> Answer | RawAnswer:
    """Check a call as Aliyun does and put its SMS into the inbox.

    Raises:
        Refused: A check failed; nothing was sent, to nobody.
        Dropped: A magic number wants no answer.
    """
    drafts = _read(desk, params)
    behave = behaviour_of(draft.number for draft in drafts)
    return behave(lambda: accepted({"BizId": send(desk, drafts)}), desk.pause)


def _read(desk: SandboxState, params: Mapping[str, str]) -> list[Draft]:
    phones, names, template_code = demand(params, "PhoneNumberJson", "SignNameJson", "TemplateCode")
    numbers = _list_of(phones)
    if len(numbers) > MAX_BATCH:
        raise Refused("isv.MOBILE_COUNT_OVER_LIMIT")
    sign_names = _same_length(_list_of(names), numbers)
    values = _same_length(_optional(params, "TemplateParamJson", numbers), numbers)
    extend_codes = _same_length(_optional(params, "SmsUpExtendCodeJson", numbers), numbers)
    template = find_template(desk.config, template_code)
    out_id = params.get("OutId", "")
    check_out_id(out_id)
    return [
        _draft(desk, template_code, template, out_id, row)
        for row in zip(numbers, sign_names, values, extend_codes, strict=True)
    ]


def _draft(desk: SandboxState, template_code: str, template: str, out_id: str, row: tuple[Any, ...]) -> Draft:
    number, sign_name, value, extend_code = row
    check_sign_name(desk.config, str(sign_name))
    check_extend_code(str(extend_code))
    filling = fill(desk.config, template, json.dumps(value) if value else "")
    return Draft(
        number=read_recipient(desk.config, template_code, str(number)),
        sign_name=sign_name,
        template_code=template_code,
        text=filling.signed(sign_name),
        code=filling.code,
        out_id=out_id,
        extend_code=str(extend_code),
    )


def _optional(params: Mapping[str, str], name: str, like: list[Any]) -> list[Any]:
    """Read a list that may be left out: then it is as long as the others, and empty."""
    return _list_of(params[name]) if params.get(name) else [""] * len(like)


def _list_of(text: str) -> list[Any]:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused("isv.INVALID_JSON_PARAM", "参数格式错误，请修改为JSON数组") from error
    if not isinstance(read, list) or not read:
        raise Refused("isv.INVALID_JSON_PARAM", "参数格式错误，请修改为JSON数组")
    return read


def _same_length(one: list[Any], other: list[Any]) -> list[Any]:
    if len(one) != len(other):
        raise Refused("isv.INVALID_PARAMETERS", "参数格式不正确")
    return one
