"""The actions that query deliveries (`QuerySendDetails`) and the reviews of sign names and templates.

https://help.aliyun.com/document_detail/419277.html
https://help.aliyun.com/document_detail/419283.html
https://help.aliyun.com/zh/sms/developer-reference/api-dysmsapi-2017-05-25-getsmssign
https://help.aliyun.com/document_detail/419289.html
https://help.aliyun.com/zh/sms/developer-reference/api-dysmsapi-2017-05-25-getsmstemplate
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime

from otp_service.sandbox.api.responses import ApiError, ApiResponse, RawResponse, success
from otp_service.sandbox.api.validation import parse_any_number
from otp_service.sandbox.config import Review
from otp_service.sandbox.inbox.messages import Message
from otp_service.sandbox.magic import query_behavior_of
from otp_service.sandbox.state import SandboxState, require_params
from otp_service.sms.aliyun.protocol.phone_numbers import bare, e164
from otp_service.sms.aliyun.protocol.receipts import Delivery
from otp_service.sms.aliyun.protocol.templates import variables
from otp_service.sms.aliyun.protocol.timestamps import china_date, format_china

MAX_PAGE_SIZE = 50

_MAX_PAGE = 10**6
_DATE = re.compile(r"[0-9]{8}")
_SEND_STATUS = {Delivery.WAITING: 1, Delivery.UNDELIVERED: 2, Delivery.DELIVERED: 3}

#: When the account's sign names and templates were created and reviewed.
_CREATED = "2025-06-04 11:42:17"
_REVIEWED = "2025-06-04 13:35:10"

_SIGN_ORDER_ID = "20044156924"
#: Values of `RegisterStatus`, the state of a sign name's registration with a carrier.
_REGISTERED, _NOT_REGISTERED = 3, -2
_CARRIERS = ("mobile", "unicom", "telecom")

_TEMPLATE_ORDER_ID = "20044156925"
#: `Reason` of a template that was not rejected.
_NO_REMARKS = "无审批备注"
#: Values of `TemplateType`.
_VERIFICATION, _INTERNATIONAL = 0, 3
#: `IntlType` of an international verification template.
_INTERNATIONAL_VERIFICATION = 2


def query_send_details(state: SandboxState, params: Mapping[str, str]) -> ApiResponse | RawResponse:
    """List the SMS to a number on one day in China, newest first, one page at a time.

    Raises:
        ApiError: A parameter is missing or invalid, or the number is magic.
        ConnectionDropped: A magic number drops the connection.
    """
    phone, day, size, page = require_params(params, "PhoneNumber", "SendDate", "PageSize", "CurrentPage")
    number = parse_any_number(phone)
    size_number, page_number = _parse_count(size, MAX_PAGE_SIZE), _parse_count(page, _MAX_PAGE)
    if not _DATE.fullmatch(day):
        raise ApiError("isv.INVALID_PARAMETERS", "参数格式不正确")
    found = _find_messages(state, e164(number), day, params.get("BizId", ""))
    start = (page_number - 1) * size_number
    rows = [_send_detail(message, state.clock()) for message in found[start : start + size_number]]
    response = success({"TotalCount": len(found), "SmsSendDetailDTOs": {"SmsSendDetailDTO": rows}})
    return query_behavior_of(number)(lambda: response, state.pause)


def _parse_count(text: str, maximum: int) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= maximum):
        raise ApiError("isv.INVALID_PARAMETERS", "参数格式不正确")
    return int(text)


def _find_messages(state: SandboxState, phone: str, day: str, biz_id: str) -> list[Message]:
    return [
        message
        for message in state.inbox.newest_first(phone)
        if china_date(message.received_at) == day and biz_id in ("", message.biz_id)
    ]


def _send_detail(message: Message, now: datetime) -> dict[str, object]:
    delivery = message.delivery(now)
    row: dict[str, object] = {
        "PhoneNum": bare(message.phone),
        "SendDate": format_china(message.received_at),
        "SendStatus": _SEND_STATUS[delivery],
        "TemplateCode": message.template_code,
        "Content": message.text,
        "OutId": message.out_id,
    }
    if delivery is not Delivery.WAITING and message.report_at is not None:
        row["ReceiveDate"] = format_china(message.report_at)
        row["ErrCode"] = message.err_code
    return row


def query_sms_sign(state: SandboxState, params: Mapping[str, str]) -> ApiResponse:
    """Return the review state of a sign name.

    Raises:
        ApiError: The account does not have this sign name.
    """
    name, review = _find_sign_name(state, params)
    return success(
        {
            "SignName": name,
            "SignStatus": int(review.state),
            "Reason": review.reason,
            "CreateDate": _CREATED,
        }
    )


def get_sms_sign(state: SandboxState, params: Mapping[str, str]) -> ApiResponse:
    """Return the review state of a sign name and its registration with the carriers.

    Raises:
        ApiError: The account does not have this sign name.
    """
    name, review = _find_sign_name(state, params)
    return success(
        {
            "SignName": name,
            "SignStatus": int(review.state),
            "SignTag": "2",
            "AuditInfo": _audit_info(review),
            "CreateDate": _CREATED,
            "OrderId": _SIGN_ORDER_ID,
            "ThirdParty": False,
            "RegisterResult": 1 if review.is_approved else -1,
            "SignIspRegisterDetailList": [_registration(carrier, review) for carrier in _CARRIERS],
        }
    )


def _find_sign_name(state: SandboxState, params: Mapping[str, str]) -> tuple[str, Review]:
    (name,) = require_params(params, "SignName")
    if name not in state.config.sign_names:
        raise ApiError("isv.SMS_SIGNATURE_ILLEGAL")
    return name, state.config.review_of(name)


def _registration(carrier: str, review: Review) -> dict[str, object]:
    status = _REGISTERED if review.is_approved else _NOT_REGISTERED
    return {"OperatorCode": carrier, "RegisterStatus": status, "OperatorCompleteTime": _REVIEWED}


def _audit_info(review: Review) -> dict[str, object]:
    return {"AuditDate": _REVIEWED, "RejectInfo": review.reason}


def query_sms_template(state: SandboxState, params: Mapping[str, str]) -> ApiResponse:
    """Return the text and the review state of a template.

    Raises:
        ApiError: The account does not have this template.
    """
    code, text, review = _find_template(state, params)
    return success(
        {
            "TemplateCode": code,
            "TemplateName": code,
            "TemplateType": _template_type(state, code),
            "TemplateContent": text,
            "TemplateStatus": int(review.state),
            "Reason": review.reason or _NO_REMARKS,
            "CreateDate": _CREATED,
        }
    )


def get_sms_template(state: SandboxState, params: Mapping[str, str]) -> ApiResponse:
    """Return the text, the review state and the variables of a template.

    Some numbers of `QuerySmsTemplate` are strings here.

    Raises:
        ApiError: The account does not have this template.
    """
    code, text, review = _find_template(state, params)
    template_type = _template_type(state, code)
    intl_type = {"IntlType": _INTERNATIONAL_VERIFICATION} if template_type == _INTERNATIONAL else {}
    return success(
        {
            "TemplateCode": code,
            "TemplateName": code,
            "TemplateType": str(template_type),
            **intl_type,
            "TemplateContent": text,
            "TemplateStatus": str(int(review.state)),
            "TemplateTag": 2,
            "VariableAttribute": json.dumps(dict.fromkeys(variables(text), "characterWithNumber2")),
            "AuditInfo": _audit_info(review),
            "CreateDate": _CREATED,
            "OrderId": _TEMPLATE_ORDER_ID,
        }
    )


def _template_type(state: SandboxState, code: str) -> int:
    return _INTERNATIONAL if code in state.config.international_templates else _VERIFICATION


def _find_template(state: SandboxState, params: Mapping[str, str]) -> tuple[str, str, Review]:
    (code,) = require_params(params, "TemplateCode")
    text = state.config.templates.get(code)
    if text is None:
        raise ApiError("isv.SMS_TEMPLATE_ILLEGAL")
    return code, text, state.config.review_of(code)
