"""The actions `SendSms` and `SendBatchSms`, and the sending that they share with PNVS.

https://help.aliyun.com/document_detail/419273.html and https://help.aliyun.com/document_detail/419274.html
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from otp_service.sandbox.api.responses import ApiError, ApiResponse, RawResponse, success
from otp_service.sandbox.api.validation import (
    ValidatedSms,
    check_extend_code,
    check_out_id,
    check_sign_name,
    fill_template,
    get_template,
    parse_recipient,
)
from otp_service.sandbox.inbox.messages import Message
from otp_service.sandbox.magic import behavior_of, delivery_of
from otp_service.sandbox.state import SandboxState, require_params
from otp_service.sms.aliyun.protocol.flow_control import FLOW_CONTROL_CODE, flow_message
from otp_service.sms.aliyun.protocol.phone_numbers import MAX_RECIPIENTS, e164

#: The maximum number of recipients of `SendBatchSms`.
MAX_BATCH = 100


def send_sms(state: SandboxState, params: Mapping[str, str]) -> ApiResponse | RawResponse:
    """Send one filled template to one or more numbers.

    Raises:
        ApiError: A check failed; nothing was sent.
        ConnectionDropped: A magic number drops the connection.
    """
    phones, sign_name, template_code = require_params(params, "PhoneNumbers", "SignName", "TemplateCode")
    numbers = [parse_recipient(state.config, template_code, part) for part in _split_numbers(phones)]
    check_sign_name(state.config, sign_name)
    template = get_template(state.config, template_code)
    filled = fill_template(state.config, template, params.get("TemplateParam", ""))
    out_id, extend_code = params.get("OutId", ""), params.get("SmsUpExtendCode", "")
    check_out_id(out_id)
    check_extend_code(extend_code)
    text = filled.render(sign_name)
    messages = [
        ValidatedSms(number, sign_name, template_code, text, filled.code, out_id, extend_code)
        for number in numbers
    ]
    return _send_with_behavior(state, messages)


def _split_numbers(text: str) -> list[str]:
    if text.count(",") >= MAX_RECIPIENTS:
        raise ApiError("isv.MOBILE_COUNT_OVER_LIMIT")
    return text.split(",")


def send_batch_sms(state: SandboxState, params: Mapping[str, str]) -> ApiResponse | RawResponse:
    """Send one template to many numbers, each with its own sign name and values.

    Raises:
        ApiError: A check failed; nothing was sent.
        ConnectionDropped: A magic number drops the connection.
    """
    phones, names, template_code = require_params(params, "PhoneNumberJson", "SignNameJson", "TemplateCode")
    numbers = _parse_list(phones)
    if len(numbers) > MAX_BATCH:
        raise ApiError("isv.MOBILE_COUNT_OVER_LIMIT")
    sign_names = _check_length(_parse_list(names), numbers)
    values = _check_length(_parse_optional_list(params, "TemplateParamJson", numbers), numbers)
    extend_codes = _check_length(_parse_optional_list(params, "SmsUpExtendCodeJson", numbers), numbers)
    template = get_template(state.config, template_code)
    out_id = params.get("OutId", "")
    check_out_id(out_id)
    messages = [
        _validate_batch_row(state, template_code, template, out_id, row)
        for row in zip(numbers, sign_names, values, extend_codes, strict=True)
    ]
    return _send_with_behavior(state, messages)


def _validate_batch_row(
    state: SandboxState, template_code: str, template: str, out_id: str, row: tuple[Any, ...]
) -> ValidatedSms:
    number, sign_name, value, extend_code = row
    check_sign_name(state.config, str(sign_name))
    check_extend_code(str(extend_code))
    filled = fill_template(state.config, template, json.dumps(value) if value else "")
    return ValidatedSms(
        number=parse_recipient(state.config, template_code, str(number)),
        sign_name=sign_name,
        template_code=template_code,
        text=filled.render(sign_name),
        code=filled.code,
        out_id=out_id,
        extend_code=str(extend_code),
    )


def _parse_optional_list(params: Mapping[str, str], name: str, like: list[Any]) -> list[Any]:
    """Parse an optional list. If it is missing, return as many empty values as *like* has entries."""
    return _parse_list(params[name]) if params.get(name) else [""] * len(like)


def _parse_list(text: str) -> list[Any]:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ApiError("isv.INVALID_JSON_PARAM", "参数格式错误，请修改为JSON数组") from error
    if not isinstance(parsed, list) or not parsed:
        raise ApiError("isv.INVALID_JSON_PARAM", "参数格式错误，请修改为JSON数组")
    return parsed


def _check_length(one: list[Any], other: list[Any]) -> list[Any]:
    if len(one) != len(other):
        raise ApiError("isv.INVALID_PARAMETERS", "参数格式不正确")
    return one


def _send_with_behavior(state: SandboxState, messages: Sequence[ValidatedSms]) -> ApiResponse | RawResponse:
    behavior = behavior_of(message.number for message in messages)
    return behavior(lambda: success({"BizId": deliver(state, messages)}), state.pause)


def deliver(state: SandboxState, messages: Sequence[ValidatedSms]) -> str:
    """Put all *messages* into the inbox and publish their reports, or none if one exceeds flow control.

    Returns:
        The `BizId` that they share.

    Raises:
        ApiError: Flow control.
    """
    now = state.clock()
    exceeded = state.flow_control.acquire([(message.sign_name, message.number) for message in messages], now)
    if exceeded is not None:
        raise ApiError(FLOW_CONTROL_CODE, flow_message(exceeded))
    biz_id = f"{secrets.randbelow(10**18):018}^0"
    delivery_seconds = state.config.delivery_seconds
    delivered = [_inbox_message(message, biz_id, now, delivery_seconds) for message in messages]
    state.inbox.add(delivered)
    for message, entry in zip(messages, delivered, strict=True):
        for _ in range(delivery_of(message.number).reports):
            state.reports.publish_report(entry)
    return biz_id


def _inbox_message(sms: ValidatedSms, biz_id: str, now: datetime, delivery_seconds: float) -> Message:
    scenario = delivery_of(sms.number)
    return Message(
        phone=e164(sms.number),
        sign_name=sms.sign_name,
        template_code=sms.template_code,
        text=sms.text,
        code=sms.code,
        out_id=sms.out_id,
        biz_id=biz_id,
        received_at=now,
        err_code=scenario.err_code,
        report_at=scenario.report_at(now, delivery_seconds),
        extend_code=sms.extend_code,
    )
