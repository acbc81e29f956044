"""Reads phone numbers as people write them; touches nothing."""

from __future__ import annotations

from otp_service.aliyun.numbers import NotMainlandMobile, e164, national

_SEPARATORS = str.maketrans("", "", " -()\t")


def phone_of(text: str) -> str | None:
    """Read a number in any spelling, also with its `+` arrived as a space; None if it is none."""
    try:
        return e164(national(text.translate(_SEPARATORS)))
    except NotMainlandMobile:
        return None
