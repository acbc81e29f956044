"""A phone, spelled for `PhoneNumbers` of SendSms.

https://help.aliyun.com/document_detail/419273.html: mainland numbers stand without prefix, all others after
their country code without `+`; several are separated by commas.
"""

from __future__ import annotations

import re

from otp_service.domain.phone import Phone
from otp_service.sms.aliyun.protocol.phone_numbers import NotMainlandMobile, national
from otp_service.sms.aliyun.recipients import MAINLAND, UnsupportedRecipient, mainland_number

__all__ = ["UnsupportedRecipient", "phone_numbers"]

_INTERNATIONAL_FORM = re.compile(r"[1-9][0-9]{6,14}")


def phone_numbers(phone: Phone) -> str:
    """Return the one number to send to.

    Phones are parsed at the door, but a wrong text here is an SMS to a stranger or to a thousand of them.

    Raises:
        UnsupportedRecipient: the number can't be told to Aliyun.
    """
    return mainland_number(phone) if phone.country_code == MAINLAND else _international(phone)


def _international(phone: Phone) -> str:
    digits = phone.e164.removeprefix("+")
    if not _INTERNATIONAL_FORM.fullmatch(digits) or not digits.startswith(str(phone.country_code)):
        raise UnsupportedRecipient("phone")
    try:
        national(digits)
    except NotMainlandMobile:
        return digits
    # +1 862 401 7194 without its plus is the mainland number 18624017194, and Aliyun takes it for that.
    raise UnsupportedRecipient("phone_reads_as_mainland")
