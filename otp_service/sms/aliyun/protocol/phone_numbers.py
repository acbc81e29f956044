"""Aliyun's formats of phone numbers.

`PhoneNumbers` accepts a mainland number without prefix or after `+`, `+86`, `0086` or `86`. After a bare `+`,
eleven digits also count as a mainland number: `+1 862 401 7194` would go to the Chinese 18624017194. So only
the eleven digits of a parsed number may be passed to the provider.
"""

from __future__ import annotations

import re

MAX_RECIPIENTS = 1000
"""The maximum number of recipients of one `SendSms`."""

_INTERNATIONAL = re.compile(r"[1-9][0-9]{6,14}")

_MAINLAND = re.compile(r"(?:\+86|0086|86|\+)?(1[3-9][0-9]{9})")


_HEAD = re.compile(r"1(?:$|[3-9])")
"""The beginning of a country code whose numbers may look like the eleven digits of a mainland number."""


class NotMainlandMobile(ValueError):
    """A text that is not a mainland mobile number; *number* is that text."""

    def __init__(self, number: str) -> None:
        super().__init__("not a mainland mobile number")
        self.number = number


def national(text: str) -> str:
    """Return the eleven digits of a mainland mobile number in any of Aliyun's formats.

    Raises:
        NotMainlandMobile: *text* is not such a number.
    """
    match = _MAINLAND.fullmatch(text)
    if match is None:
        raise NotMainlandMobile(text)
    return match[1]


class NotInternational(ValueError):
    """A text that is not an international number in Aliyun's format; *number* is that text."""

    def __init__(self, number: str) -> None:
        super().__init__("not an international number")
        self.number = number


def international(text: str) -> str:
    """Return *text* if it is an international number: country code and number, without `+` or `00`.

    Raises:
        NotInternational: *text* is not such a number, or reads as a mainland number.
    """
    if _INTERNATIONAL.fullmatch(text) is None or _MAINLAND.fullmatch(text) or text.startswith("86"):
        raise NotInternational(text)
    return text


def can_read_as_mainland(country_code: int) -> bool:
    """Return whether a number with *country_code*, without its plus sign, may look like a mainland number.

    A mainland number has eleven digits, of which the first is 1 and the second is not 0, 1 or 2, perhaps
    after 86. So this depends on the beginning of the country code.
    """
    digits = str(country_code)
    return "86".startswith(digits[:2]) or bool(_HEAD.match(digits))


def recipients(text: str) -> list[str]:
    """Split the value of `PhoneNumbers` into numbers of eleven digits.

    Raises:
        NotMainlandMobile: one of them is not a mainland mobile number.
    """
    return [national(part) for part in text.split(",")]


def e164(number: str) -> str:
    """Return *number*, the eleven digits of a mainland number or an international number, in E.164."""
    return f"+86{number}" if _MAINLAND.fullmatch(number) else f"+{number}"


def bare(phone: str) -> str:
    """Return an E.164 *phone* in Aliyun's format: eleven digits, or country code and number."""
    return phone.removeprefix("+86") if phone.startswith("+86") else phone.removeprefix("+")
