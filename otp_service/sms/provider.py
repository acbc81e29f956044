"""What a provider is to its route. Touches nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from otp_service.messages import Sms, Template
from otp_service.ports import Fault, Found, Inquiry, Outcome, OutcomeKind


class Trouble(StrEnum):
    """What an outcome says about the way it came."""

    TRANSPORT = "transport"
    """No answer, or none that makes sense: the provider may be down."""
    OPERATOR = "operator"
    """The account or its sign name was refused: every SMS of the route fails until somebody acts."""
    TEMPLATE = "template"
    """One template was refused: it fails until somebody acts, and the others may do."""
    UNASKED = "unasked"
    """Nobody was asked, so there is nothing to learn, least of all that the provider answers."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one send ended, and what its route should learn from it."""

    outcome: Outcome
    trouble: Trouble | None = None


class Provider(Protocol):
    """One account with one provider."""

    def send(self, sms: Sms, template: Template, deadline: float) -> Verdict:
        """Send *sms* once; give up at *deadline* (monotonic seconds)."""
        ...

    def inquire(self, inquiry: Inquiry, deadline: float) -> Found:
        """Ask what became of a send, until *deadline* (monotonic seconds).

        The finding is UNASKED where the provider answers no such questions.
        """
        ...

    def close(self) -> None:
        """Let go of idle connections."""
        ...


def refused(fault: Fault, code: str, *, wait: int = 0, route: str = "") -> Outcome:
    """Return a refusal by this room itself, before anything was sent; *code* is for the log."""
    return Outcome(OutcomeKind.REFUSED, route, fault, wait, f"local.{code}")


def unasked(fault: Fault, code: str) -> Verdict:
    """Return the verdict on an SMS that was handed to nobody."""
    return Verdict(refused(fault, code), Trouble.UNASKED)


def unknown(code: str) -> Outcome:
    """Return an outcome of which only the *code* for the log is known."""
    return Outcome(OutcomeKind.UNKNOWN, provider_code=f"local.{code}")
