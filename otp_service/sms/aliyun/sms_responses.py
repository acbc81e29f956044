"""Aliyun's answer to a SendSms, read: what became of the SMS."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from otp_service.sms.aliyun.protocol.codes import lookup
from otp_service.sms.aliyun.responses import ResponseInterpreter
from otp_service.sms.provider import ProviderResult

_SEND_SMS = ResponseInterpreter(lookup=lookup)


def read_answer(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ProviderResult:
    """Tell what the answer to a SendSms means; the names of *headers* are in lower case."""
    return _SEND_SMS.read(status, headers, body, now)
