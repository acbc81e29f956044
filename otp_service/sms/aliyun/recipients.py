"""Phone numbers in the format of Aliyun's APIs.

https://help.aliyun.com/document_detail/419273.html: numbers of mainland China have no prefix. All others
begin with their country code, without `+`. Several numbers are separated by commas.
"""

from __future__ import annotations

import re

from otp_service.domain.phone import Phone
from otp_service.sms.aliyun.protocol.phone_numbers import NotMainlandMobile, national

MAINLAND = 86

_MAINLAND_FORM = re.compile(r"1[3-9][0-9]{9}")
_INTERNATIONAL_FORM = re.compile(r"[1-9][0-9]{6,14}")


class UnsupportedRecipient(Exception):
    """A number without an unambiguous spelling at Aliyun; *code* is for the log."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def phone_numbers(phone: Phone) -> str:
    """Return the value of `PhoneNumbers` for one *phone*.

    The API has validated the phone, but here a wrong text would send an SMS to a stranger, or to a thousand.

    Raises:
        UnsupportedRecipient: Aliyun has no unambiguous spelling of the number.
    """
    return mainland_number(phone) if phone.country_code == MAINLAND else _international(phone)


def mainland_number(phone: Phone) -> str:
    """Return the eleven digits of a mainland mobile number, without prefix.

    Raises:
        UnsupportedRecipient: *phone* is not a mobile number of mainland China.
    """
    is_mainland = phone.country_code == MAINLAND and phone.e164.startswith(f"+{MAINLAND}")
    if not is_mainland or not _MAINLAND_FORM.fullmatch(phone.national):
        raise UnsupportedRecipient("phone")
    return phone.national


def _international(phone: Phone) -> str:
    digits = phone.e164.removeprefix("+")
    if not _INTERNATIONAL_FORM.fullmatch(digits) or not digits.startswith(str(phone.country_code)):
        raise UnsupportedRecipient("phone")
    try:
        national(digits)
    except NotMainlandMobile:
        return digits
    # +1 862 401 7194 without its plus is the mainland number 18624017194, and Aliyun sends to that one.
    raise UnsupportedRecipient("phone_reads_as_mainland")
