"""The interface of a provider, the result of a send, and the error codes of this service itself."""

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
from otp_service.sms.http import ConnectFailed, TransportError


class RouteHealth(StrEnum):
    """What the result of a send says about its route."""

    TRANSPORT_ERROR = "transport"
    """There was no response, or none that makes sense: the provider may be down."""
    ACCOUNT_ERROR = "operator"
    """The account or its sign name was refused: every SMS of the route fails until an operator acts."""
    TEMPLATE_ERROR = "template"
    """One template was refused: it fails until an operator acts, and other templates may succeed."""
    NOT_ATTEMPTED = "unasked"
    """The provider was not called, so the result says nothing about it."""


@dataclass(frozen=True, slots=True)
class ProviderResult:
    """The outcome of one send, and what it says about the health of the route (None: the route works)."""

    outcome: SendResult
    health: RouteHealth | None = None


class Provider(Protocol):
    """One account with one provider."""

    def send(self, sms: SmsMessage, template: Template, deadline: float) -> ProviderResult:
        """Send *sms* once; give up at *deadline* (monotonic seconds)."""
        ...

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        """Look up the state of a send, until *deadline* (monotonic seconds).

        The status is UNSUPPORTED if the provider has no such query.
        """
        ...

    def close(self) -> None:
        """Close idle connections."""
        ...


def rejected(cause: FailureCause, code: str, *, retry_after: int = 0, route: str = "") -> SendResult:
    """Return a refusal by this service itself, before anything was sent; *code* is for the log."""
    return SendResult(SendStatus.REFUSED, route, cause, retry_after, f"local.{code}")


def not_attempted(cause: FailureCause, code: str) -> ProviderResult:
    """Return the result for an SMS that was not passed to the provider."""
    return ProviderResult(rejected(cause, code), RouteHealth.NOT_ATTEMPTED)


def outcome_unknown(code: str) -> SendResult:
    """Return an unknown outcome; *code* is for the log."""
    return SendResult(SendStatus.UNKNOWN, provider_code=f"local.{code}")


def deadline_passed() -> ProviderResult:
    """Return the result for an SMS for which no time remained."""
    return not_attempted(FailureCause.PROVIDER, "deadline")


def no_response(error: TransportError) -> ProviderResult:
    """Return the result of a send to which no response came.

    If certainly nothing left this machine, the send is refused. If something left, the outcome is unknown.
    """
    if isinstance(error, ConnectFailed):
        outcome = rejected(FailureCause.PROVIDER, f"not_sent.{error.reason}")
    else:
        outcome = outcome_unknown(f"no_answer.{error.reason}")
    return ProviderResult(outcome, RouteHealth.TRANSPORT_ERROR)


LOCAL_CODES = {
    "local.not_sent": "Nothing left this machine: no connection, no address or no trusted certificate.",
    "local.no_answer": "The request left, but no complete response came: the SMS may have been sent.",
    "local.http_": "The response did not come from the provider: the SMS may have been sent.",
    "local.deadline": "The deadline of the request passed before the provider was called.",
    "local.not_started": "The process was stopping before the send began.",
    "local.no_route": "No route serves this client, purpose, country and locale.",
    "local.route_paused": "The route is suspended for a minute: an operator must act on its last refusal.",
    "local.breaker_open": "The provider has not responded recently and is not called for some seconds.",
    "local.phone_reads_as_mainland": "Without its plus sign, the number is another one, in mainland China.",
    "local.phone": "The provider of this route cannot send to this number.",
    "local.template_param": "The template's variables break Aliyun's rules for verification codes.",
    "local.crashed": "This service has a bug: the SMS may have been sent.",
    "http_": "The webhook's receiver responded with this HTTP status.",
    "destination_rejected": "The webhook's receiver sends no SMS to this number.",
}
"""Explanations of the codes that this service assigns, by prefix; the first matching prefix wins."""


def explain_local_code(code: str) -> str:
    """Return the meaning of *code*; empty if it is a provider's."""
    return next((text for prefix, text in LOCAL_CODES.items() if code.startswith(prefix)), "")
