"""A phone of the mainland, spelled for Aliyun: its eleven digits and nothing else."""

from __future__ import annotations

import re

from otp_service.domain.phone import Phone

MAINLAND = 86

_FORM = re.compile(r"1[3-9][0-9]{9}")


class UnsupportedRecipient(Exception):
    """No spelling of this number reaches it, and nothing else; *code* is for the log."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def mainland_number(phone: Phone) -> str:
    """Return the number without prefix.

    Phones are parsed at the door, but a wrong text here is an SMS to a stranger or to a thousand of them.

    Raises:
        UnsupportedRecipient: it is no mobile number of the mainland.
    """
    is_mainland = phone.country_code == MAINLAND and phone.e164.startswith(f"+{MAINLAND}")
    if not is_mainland or not _FORM.fullmatch(phone.national):
        raise UnsupportedRecipient("phone")
    return phone.national
