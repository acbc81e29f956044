"""Aliyun's answer to a SendSms, read: what became of the SMS. Touches nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from otp_service.sms.aliyun.protocol.codes import lookup
from otp_service.sms.aliyun.responses import Dialect
from otp_service.sms.provider import Verdict

_SEND_SMS = Dialect(lookup=lookup)


def read_answer(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> Verdict:
    """Tell what the answer to a SendSms means; the names of *headers* are in lower case."""
    return _SEND_SMS.read(status, headers, body, now)
