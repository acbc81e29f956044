"""Aliyun's spellings of a mainland mobile number; touches nothing.

`PhoneNumbers` takes a mainland number bare or after `+`, `+86`, `0086` or `86`. A bare
`+` counts as mainland too, so `+1 862 401 7194` would go to the Chinese 18624017194:
only the eleven digits of a parsed number may be handed to the provider.
"""

from __future__ import annotations

import re

#: The most numbers that one `SendSms` takes.
MAX_RECIPIENTS = 1000

_INTERNATIONAL = re.compile(r"[1-9][0-9]{6,14}")

_MAINLAND = re.compile(r"(?:\+86|0086|86|\+)?(1[3-9][0-9]{9})")


_HEAD = re.compile(r"1(?:$|[3-9])")
"""How a country code begins whose numbers may have the eleven digits of a mainland one."""


class NotMainlandMobile(ValueError):
    """A text is no mainland mobile number; *number* is that text."""

    def __init__(self, number: str) -> None:
        super().__init__("not a mainland mobile number")
        self.number = number


def national(text: str) -> str:
    """Reduce one spelling of a mainland mobile number to its eleven digits.

    Raises:
        NotMainlandMobile: It is not such a number.
    """
    match = _MAINLAND.fullmatch(text)
    if match is None:
        raise NotMainlandMobile(text)
    return match[1]


class NotInternational(ValueError):
    """A text is no number outside the mainland in Aliyun's spelling; *number* is that text."""

    def __init__(self, number: str) -> None:
        super().__init__("not an international number")
        self.number = number


def international(text: str) -> str:
    """Return *text* if it is a number outside the mainland: country code and number, without `+` or `00`.

    Raises:
        NotInternational: It is not such a number, or reads as one of the mainland.
    """
    if _INTERNATIONAL.fullmatch(text) is None or _MAINLAND.fullmatch(text) or text.startswith("86"):
        raise NotInternational(text)
    return text


def can_read_as_mainland(country_code: int) -> bool:
    """Tell whether a number after its *country_code*, without a plus sign, may look like a mainland one.

    Such a number has eleven digits, of which the first is 1 and the second is not 0, 1 or 2; or these after
    86. So it depends on how the country code begins.
    """
    digits = str(country_code)
    return "86".startswith(digits[:2]) or bool(_HEAD.match(digits))


def recipients(text: str) -> list[str]:
    """Split the value of `PhoneNumbers` into numbers of eleven digits.

    Raises:
        NotMainlandMobile: One of them is not a mainland mobile number.
    """
    return [national(part) for part in text.split(",")]


def e164(number: str) -> str:
    """Write a *number* in E.164: eleven digits of the mainland, or an international one."""
    return f"+86{number}" if _MAINLAND.fullmatch(number) else f"+{number}"


def bare(phone: str) -> str:
    """Write a *phone* in E.164 as Aliyun does: eleven digits, or the country code and the number."""
    return phone.removeprefix("+86") if phone.startswith("+86") else phone.removeprefix("+")
