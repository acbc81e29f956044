"""One row of the table of answer codes, and the words its columns use; touches nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What became of the SMS."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    #: It may or may not have been sent.
    UNKNOWN = "unknown"


class Who(StrEnum):
    """Who has to act before the same call can succeed."""

    NOBODY = "nobody"
    #: The number is at fault: only another number helps.
    NUMBER = "number"
    #: A limit of the number is full: time helps.
    LIMIT = "limit"
    #: The account, its sign names, templates, rights, money or clock.
    OPERATOR = "operator"
    #: The program that made the call: a defect of ours.
    CALLER = "caller"
    PROVIDER = "provider"


class Retry(StrEnum):
    """Whether the same SMS may be asked for again."""

    NO = "no"
    #: When the provider's window has passed.
    LATER = "later"
    #: At once with backoff: it was refused before anything was sent.
    BACKOFF = "backoff"
    #: Only after a receipt or a query says that it was not sent.
    AFTER_RECEIPT = "after_receipt"


class Product(StrEnum):
    """Whose answers a code stands in."""

    #: Dysmsapi: SendSms.
    SMS = "Dysmsapi"
    #: Dypnsapi: SendSmsVerifyCode.
    PNVS = "Dypnsapi"


@dataclass(frozen=True)
class CodeRow:
    """What one `Code` in an answer of Aliyun means, and what to do about it."""

    code: str
    outcome: Outcome
    who: Who
    retry: Retry
    english: str
    chinese: str
    #: The HTTP status that Aliyun answers with.
    http_status: int
    #: Aliyun's own text; `{parameter}` stands for a parameter's name.
    message: str
    product: Product = Product.SMS


def refused(code: str, who: Who, english: str, chinese: str, message: str = "") -> CodeRow:
    """Write a row of a business error: HTTP 200, nothing sent, no retry."""
    message = message or chinese
    return CodeRow(code, Outcome.REFUSED, who, Retry.NO, english, chinese, 200, message)
