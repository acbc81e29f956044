"""The service's successful responses as values.

Names and units are those of the API; times are aware datetimes in UTC. Unknown members are ignored, so that
a newer service can add some.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Sent:
    """An open verification whose SMS was accepted or may have been sent: see `delivery`.

    *resend_at* and *resend_in* are None when no more SMS can be sent for this verification.
    """

    verification_id: str = field(repr=False)
    status: str
    purpose: str
    phone_masked: str
    code_length: int
    code_type: str
    expires_at: datetime
    expires_in: int
    resend_at: datetime | None
    resend_in: int | None
    sends_left: int
    attempts_left: int
    delivery: str

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """Read a response to `request` or `resend`."""
        return cls(**_verification_fields(body))


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an SMS did not arrive: the provider's *code*, and its meaning in English and in Chinese."""

    code: str
    en: str
    zh: str

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """Read a reason from a response."""
        return cls(code=body["code"], en=body["en"], zh=body["zh"])


@dataclass(frozen=True, slots=True)
class SendStatus:
    """An SMS of a verification: its *number* from 1, its delivery status, when it was sent, and its route."""

    number: int
    delivery: str
    at: datetime
    route: str
    reason: Reason | None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """Read one SMS from a response."""
        return cls(
            number=body["number"],
            delivery=body["delivery"],
            at=_time(body["at"]),
            route=body["route"],
            reason=Reason.read(body["reason"]) if body.get("reason") else None,
        )


@dataclass(frozen=True, slots=True)
class VerificationStatus:
    """The state of a verification: `pending`, `approved`, `exhausted`, `canceled` or `expired`."""

    verification_id: str = field(repr=False)
    status: str
    purpose: str
    phone_masked: str
    code_length: int
    code_type: str
    expires_at: datetime
    expires_in: int
    resend_at: datetime | None
    resend_in: int | None
    sends_left: int
    attempts_left: int
    delivery: str
    sends: tuple[SendStatus, ...]

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """Read a response to `status`."""
        return cls(**_verification_fields(body), sends=tuple(SendStatus.read(send) for send in body["sends"]))


@dataclass(frozen=True, slots=True)
class Approved:
    """The code was correct. The *proof* is valid for *proof_expires_in* seconds. It is personal data."""

    verification_id: str = field(repr=False)
    purpose: str
    phone: str = field(repr=False)
    proof: str = field(repr=False)
    proof_expires_in: int

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """Read a response to `verify`."""
        return cls(
            verification_id=body["verification_id"],
            purpose=body["purpose"],
            phone=body["phone"],
            proof=body["proof"],
            proof_expires_in=body["proof_expires_in"],
        )


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The claims of a redeemed proof. *amr* is the method: `sms`, or `test` for a configured test phone."""

    verification_id: str = field(repr=False)
    client: str
    purpose: str
    phone: str = field(repr=False)
    verified_at: datetime
    amr: tuple[str, ...]

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """Read a response to `redeem`."""
        return cls(
            verification_id=body["verification_id"],
            client=body["client"],
            purpose=body["purpose"],
            phone=body["phone"],
            verified_at=_time(body["verified_at"]),
            amr=tuple(body["amr"]),
        )


def _verification_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    resend_at = body["resend_at"]
    return {
        "verification_id": body["verification_id"],
        "status": body["status"],
        "purpose": body["purpose"],
        "phone_masked": body["phone_masked"],
        "code_length": body["code_length"],
        "code_type": body["code_type"],
        "expires_at": _time(body["expires_at"]),
        "expires_in": body["expires_in"],
        "resend_at": None if resend_at is None else _time(resend_at),
        "resend_in": body["resend_in"],
        "sends_left": body["sends_left"],
        "attempts_left": body["attempts_left"],
        "delivery": body["delivery"],
    }


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
