"""Reasons: why an SMS did not arrive, in words that a person understands. Touches nothing."""

from __future__ import annotations

from dataclasses import dataclass

from otp_service.aliyun.receipts import lookup_receipt


@dataclass(frozen=True, slots=True)
class Reason:
    """A provider's *code* and what it means, in English and in Chinese."""

    code: str
    english: str
    chinese: str


def explain(code: str) -> Reason:
    """Return what *code* means; a carrier's own code is explained in general."""
    row = lookup_receipt(code)
    return Reason(code, row.english, row.chinese)
