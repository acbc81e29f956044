"""The action `QuerySendDetails`: what became of one number's SMS of one day.

https://help.aliyun.com/document_detail/419277.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from otp_service.sandbox.answers import Answer, RawAnswer, Refused, accepted
from otp_service.sandbox.inbox import Message
from otp_service.sandbox.magic import query_behaviour_of
from otp_service.sandbox.state import SandboxState, demand
from otp_service.sandbox.validation import read_any_number
from otp_service.sms.aliyun.protocol.china_time import china_date, format_china
from otp_service.sms.aliyun.protocol.numbers import bare, e164
from otp_service.sms.aliyun.protocol.receipts import Delivery

MAX_PAGE_SIZE = 50

_MAX_PAGE = 10**6
_DATE = re.compile(r"[0-9]{8}")
_STATUS = {Delivery.WAITING: 1, Delivery.UNDELIVERED: 2, Delivery.DELIVERED: 3}


def query_send_details(desk: SandboxState, params: Mapping[str, str]) -> Answer | RawAnswer:
    """List a number's SMS of one day in China, newest first, a page at a time.

    Raises:
        Refused: A parameter is missing or wrong, or the number is magic.
        Dropped: A magic number wants no answer.
    """
    phone, day, size, page = demand(params, "PhoneNumber", "SendDate", "PageSize", "CurrentPage")
    number = read_any_number(phone)
    size_number, page_number = _count(size, MAX_PAGE_SIZE), _count(page, _MAX_PAGE)
    if not _DATE.fullmatch(day):
        raise Refused("isv.INVALID_PARAMETERS", "参数格式不正确")
    found = _find(desk, e164(number), day, params.get("BizId", ""))
    start = (page_number - 1) * size_number
    rows = [_row(message, desk.clock()) for message in found[start : start + size_number]]
    answer = accepted({"TotalCount": len(found), "SmsSendDetailDTOs": {"SmsSendDetailDTO": rows}})
    return query_behaviour_of(number)(lambda: answer, desk.pause)


def _count(text: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= most):
        raise Refused("isv.INVALID_PARAMETERS", "参数格式不正确")
    return int(text)


def _find(desk: SandboxState, phone: str, day: str, biz_id: str) -> list[Message]:
    return [
        message
        for message in desk.inbox.newest_first(phone)
        if china_date(message.received_at) == day and biz_id in ("", message.biz_id)
    ]


def _row(message: Message, now: datetime) -> dict[str, object]:
    delivery = message.delivery(now)
    row: dict[str, object] = {
        "PhoneNum": bare(message.phone),
        "SendDate": format_china(message.received_at),
        "SendStatus": _STATUS[delivery],
        "TemplateCode": message.template_code,
        "Content": message.text,
        "OutId": message.out_id,
    }
    if delivery is not Delivery.WAITING and message.report_at is not None:
        row["ReceiveDate"] = format_china(message.report_at)
        row["ErrCode"] = message.err_code
    return row
