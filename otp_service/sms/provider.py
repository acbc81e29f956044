"""What a provider is to its route."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from otp_service.domain.messages import (
    DeliveryLookup,
    DeliveryLookupResult,
    FailureCause,
    SendResult,
    SendStatus,
    SmsMessage,
    Template,
)


class RouteHealth(StrEnum):
    """What an outcome says about the way it came."""

    TRANSPORT = "transport"
    """No answer, or none that makes sense: the provider may be down."""
    OPERATOR = "operator"
    """The account or its sign name was refused: every SMS of the route fails until somebody acts."""
    TEMPLATE = "template"
    """One template was refused: it fails until somebody acts, and the others may do."""
    NOT_ATTEMPTED = "unasked"
    """Nobody was asked, so there is nothing to learn, least of all that the provider answers."""


@dataclass(frozen=True, slots=True)
class ProviderResult:
    """How one send ended, and what its route should learn from it."""

    outcome: SendResult
    trouble: RouteHealth | None = None


class Provider(Protocol):
    """One account with one provider."""

    def send(self, sms: SmsMessage, template: Template, deadline: float) -> ProviderResult:
        """Send *sms* once; give up at *deadline* (monotonic seconds)."""
        ...

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        """Ask what became of a send, until *deadline* (monotonic seconds).

        The finding is UNASKED where the provider answers no such questions.
        """
        ...

    def close(self) -> None:
        """Let go of idle connections."""
        ...


def refused(fault: FailureCause, code: str, *, wait: int = 0, route: str = "") -> SendResult:
    """Return a refusal by this room itself, before anything was sent; *code* is for the log."""
    return SendResult(SendStatus.REFUSED, route, fault, wait, f"local.{code}")


def not_attempted(fault: FailureCause, code: str) -> ProviderResult:
    """Return the verdict on an SMS that was handed to nobody."""
    return ProviderResult(refused(fault, code), RouteHealth.NOT_ATTEMPTED)


def unknown(code: str) -> SendResult:
    """Return an outcome of which only the *code* for the log is known."""
    return SendResult(SendStatus.UNKNOWN, provider_code=f"local.{code}")
