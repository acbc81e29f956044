"""Aliyun's spellings of a mainland mobile number; touches nothing.

`PhoneNumbers` takes a mainland number bare or after `+`, `+86`, `0086` or `86`. A bare
`+` counts as mainland too, so `+1 862 401 7194` would go to the Chinese 18624017194:
only the eleven digits of a parsed number may be handed to the provider.
"""

from __future__ import annotations

import re

#: The most numbers that one `SendSms` takes.
MAX_RECIPIENTS = 1000

_MAINLAND = re.compile(r"(?:\+86|0086|86|\+)?(1[3-9][0-9]{9})")


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


def recipients(text: str) -> list[str]:
    """Split the value of `PhoneNumbers` into numbers of eleven digits.

    Raises:
        NotMainlandMobile: One of them is not a mainland mobile number.
    """
    return [national(part) for part in text.split(",")]


def e164(number: str) -> str:
    """Write the eleven digits of a mainland *number* in E.164."""
    return f"+86{number}"
