"""Reads phone numbers as people write them; touches nothing."""

from __future__ import annotations

from otp_service.sms.aliyun.protocol.numbers import (
    NotInternational,
    NotMainlandMobile,
    e164,
    international,
    national,
)

_SEPARATORS = str.maketrans("", "", " -()\t")


def phone_of(text: str) -> str | None:
    """Read a number in any spelling, also with its `+` arrived as a space; None if it is none.

    What does not read as a mainland number is an international one with its country code.
    """
    plain = text.translate(_SEPARATORS)
    try:
        return e164(national(plain))
    except NotMainlandMobile:
        digits = plain.removeprefix("+").removeprefix("00")
    try:
        return e164(international(digits))
    except NotInternational:
        return None
