"""Reasons: why an SMS did not arrive, in words that a person understands."""

from __future__ import annotations

from dataclasses import dataclass

from otp_service.sms.aliyun.protocol.receipts import lookup_receipt


@dataclass(frozen=True, slots=True)
class DeliveryFailure:
    """A provider's *code* and what it means, in English and in Chinese."""

    code: str
    english: str
    chinese: str


def describe_failure(code: str) -> DeliveryFailure:
    """Return what *code* means; a carrier's own code is explained in general."""
    row = lookup_receipt(code)
    return DeliveryFailure(code, row.english, row.chinese)
