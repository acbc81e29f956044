"""What providers report unprompted: delivery reports, and SMS that people send to this service."""

from __future__ import annotations

from dataclasses import dataclass, field

from otp_service.domain.verification import DeliveryStatus


class UnreadableReports(ValueError):
    """A body or an item that is neither a delivery report nor an inbound SMS. The message holds no value."""


@dataclass(frozen=True, slots=True)
class ProviderReport:
    """A delivery report. *reference* is the text sent with the SMS, *reason* the provider's code."""

    reference: str
    delivery: DeliveryStatus
    reason: str


@dataclass(frozen=True, slots=True)
class ReceivedSms:
    """An SMS from *phone* (E.164 if it is known). *sent_at* is in unix seconds, 0 if unknown.

    *sender* is the number that it was sent to. *identity* distinguishes it from every other SMS, and is the
    same each time the provider reports it.
    """

    phone: str = field(repr=False)
    content: str = field(repr=False)
    sender: str
    sent_at: float
    sign_name: str
    identity: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeliveryFailure:
    """A provider's *code* for an SMS that was not delivered, and its meaning in English and Chinese."""

    code: str
    english: str
    chinese: str
