"""PNVS's answer to a SendSmsVerifyCode, read: what became of the SMS.

https://help.aliyun.com/zh/pnvs/developer-reference/api-dypnsapi-2017-05-25-sendsmsverifycode: success is said
twice, by `Code` and by `Success`, the biz id stands in `Model`, and the service's own refusals come on
HTTP 400, as the front door's do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from otp_service.sms.aliyun.protocol import flow_control
from otp_service.sms.aliyun.protocol.codes import CODES, PNVS_CODES, ErrorCodeInfo, lookup
from otp_service.sms.aliyun.responses import ResponseInterpreter
from otp_service.sms.provider import ProviderResult

_PREFIXES = ("isv.", "isp.")

_DAY = "for the day"
"""In the documented message, "The number has exceeded the limit for the day."."""


def read_answer(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ProviderResult:
    """Tell what the answer to a SendSmsVerifyCode means; the names of *headers* are in lower case."""
    return _SEND_SMS_VERIFY_CODE.read(status, headers, body, now)


def lookup_pnvs(code: str) -> ErrorCodeInfo:
    """Tell what the `Code` of an answer means; the SMS service's own come without their prefix."""
    same = (CODES.get(prefix + code) for prefix in _PREFIXES)
    return PNVS_CODES.get(code) or next(filter(None, same), None) or lookup(code)


def next_send_at(message: str, now: datetime) -> datetime:
    """Tell from when a number that got this flow control *message* may be tried again."""
    if _DAY in message.lower():
        return flow_control.next_window_start(flow_control.Window.DAY, now)
    return flow_control.next_send_at(message, now)


def _biz_id(told: Mapping[str, object]) -> object:
    model = told.get("Model")
    return model.get("BizId") if isinstance(model, Mapping) else None


_SEND_SMS_VERIFY_CODE = ResponseInterpreter(
    lookup=lookup_pnvs, biz_id=_biz_id, next_send_at=next_send_at, business_says_4xx=True
)
