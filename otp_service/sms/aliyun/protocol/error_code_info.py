"""The types of the error code table: one row, and the values of its columns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SendOutcome(StrEnum):
    """What happened to the SMS."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """Nothing was sent."""
    UNKNOWN = "unknown"
    """The SMS may have been sent."""


class ResponsibleParty(StrEnum):
    """Who must act before the same call can succeed."""

    NONE = "nobody"
    RECIPIENT = "number"
    """The number is at fault: only another number helps."""
    RECIPIENT_LIMIT = "limit"
    """A limit of the number is exhausted: only waiting helps."""
    OPERATOR = "operator"
    """The account, its sign names, templates, permissions, balance or clock must be corrected."""
    DEVELOPER = "caller"
    """The program that made the call has a bug."""
    PROVIDER = "provider"


class Retry(StrEnum):
    """Whether the same SMS may be requested again."""

    NO = "no"
    LATER = "later"
    """After the provider's window has ended."""
    BACKOFF = "backoff"
    """At once, with backoff: the call was refused before anything was sent."""
    AFTER_RECEIPT = "after_receipt"
    """Only after a receipt or a query shows that the SMS was not sent."""


class Product(StrEnum):
    """The API whose responses contain a code."""

    SMS = "Dysmsapi"
    """The API of SendSms."""
    PNVS = "Dypnsapi"
    """The API of SendSmsVerifyCode."""


@dataclass(frozen=True)
class ErrorCodeInfo:
    """The meaning of one `Code` in Aliyun's responses, and the action that it calls for.

    *http_status* is the status that Aliyun responds with. *message* is Aliyun's own text, in which
    `{parameter}` stands for the name of a parameter.
    """

    code: str
    outcome: SendOutcome
    responsible: ResponsibleParty
    retry: Retry
    english: str
    chinese: str
    http_status: int
    message: str
    product: Product = Product.SMS


def business_error(
    code: str, responsible: ResponsibleParty, english: str, chinese: str, message: str = ""
) -> ErrorCodeInfo:
    """Return a row for a business error: HTTP 200, nothing sent, no retry."""
    return ErrorCodeInfo(
        code, SendOutcome.REFUSED, responsible, Retry.NO, english, chinese, 200, message or chinese
    )
