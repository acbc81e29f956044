"""Answers: what a successful call tells, as models and from the spine's values.

Times stand twice: absolute (RFC 3339, UTC) for records, relative (seconds) for whoever's clock is off.
The full number stands only where a proof was earned or used; a code stands nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from otp_service.domain.codes import LENGTH, CodeType
from otp_service.domain.proofs import Proof
from otp_service.domain.reasons import describe_failure
from otp_service.domain.verification import DeliveryStatus, SmsSend, Status, Verification
from otp_service.services.verification import Approved, SendOutcome

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-23T08:07:41Z"])]
Seconds = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class Answer(BaseModel):
    """The body of a successful answer: these fields and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class VerificationAnswer(Answer):
    """A verification as it stands."""

    verification_id: Annotated[
        str, Field(description="Its id. Whoever holds it can resend, verify and cancel: keep it.")
    ]
    status: Status
    purpose: str
    phone_masked: Annotated[str, Field(examples=["+86 138****8000"])]
    code_length: Annotated[int, Field(description="How many characters to ask the person for.")]
    code_type: Annotated[CodeType, Field(description="Digits, or digits and capital letters.")]
    expires_at: Time
    expires_in: Annotated[Seconds, Field(description="Seconds of life left, rounded down.")]
    resend_at: Annotated[
        Time | None, Field(description="When another SMS may be asked for; null when there is none to come.")
    ]
    resend_in: Annotated[Seconds | None, Field(description="Seconds until then, rounded up.")]
    sends_left: Annotated[Count, Field(description="SMS left, the least over all limits that apply.")]
    attempts_left: Annotated[Count, Field(description="Codes that may still be submitted.")]
    delivery: Annotated[DeliveryStatus, Field(description="What is known of the newest SMS.")]


class ReasonAnswer(Answer):
    """Why an SMS did not arrive, for people."""

    code: Annotated[str, Field(examples=["MOBILE_NOT_ON_SERVICE"], description="The provider's code.")]
    en: str
    zh: str


class SendAnswer(Answer):
    """One SMS of a verification and what became of it."""

    number: Annotated[int, Field(ge=1)]
    delivery: DeliveryStatus
    at: Time
    route: Annotated[str, Field(description="The configured route it took; empty until that is known.")]
    reason: Annotated[
        ReasonAnswer | None, Field(description="Why it did not arrive; null unless it is undelivered.")
    ]


class StatusAnswer(VerificationAnswer):
    """A verification as it stands, with its sends for servers."""

    sends: Annotated[
        list[SendAnswer] | None, Field(description="Its SMS, oldest first; null for publishable keys.")
    ]


class ApprovedAnswer(Answer):
    """The code was right; the proof says so to whoever trusts this service."""

    status: Literal[Status.APPROVED]
    verification_id: str
    purpose: str
    phone: Annotated[str, Field(description="The full number in E.164.", examples=["+8613800138000"])]
    proof: Annotated[str, Field(description="The signed statement; redeem it once, on a server.")]
    proof_expires_in: Seconds


class RedeemedAnswer(Answer):
    """The claims of a proof that was good, and is now used up."""

    phone: Annotated[str, Field(description="The full number in E.164.", examples=["+8613800138000"])]
    purpose: str
    verification_id: str
    client: str
    verified_at: Time
    amr: Annotated[list[str], Field(description="How it was verified (RFC 8176).", examples=[["sms"]])]


class PageAnswer(Answer):
    """A hosted page that was made."""

    url: Annotated[
        str,
        Field(
            description="Its address: send the visitor there. The browser that opens it first owns it.",
            examples=["https://otp.example.com/otp/pages/dGhpcyBpcyBubyByZWFsIGlkIGF0IGFs"],
        ),
    ]
    expires_at: Time
    expires_in: Seconds


class HealthAnswer(Answer):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class RouteAnswer(BaseModel):
    """How one route does: `ok`, or in a word what is wrong with it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    state: str


class ReadyAnswer(Answer):
    """The store takes writes; `degraded` when a route does not do well, which stops no verify.

    `warnings`: `store_not_persistent`, a restart of Redis would lose all codes and counters;
    `wrong_code_alarm`, so many codes were wrong today that browsers are asked for a risk challenge.
    """

    status: Literal["ready", "degraded"]
    store: Literal["ok"] = "ok"
    warnings: list[Literal["store_not_persistent", "wrong_code_alarm"]]
    routes: list[RouteAnswer]


def sent(result: SendOutcome) -> VerificationAnswer:
    """Tell what a request or resend brought about."""
    return VerificationAnswer(**_facts(result))


def standing(result: SendOutcome, *, with_sends: bool) -> StatusAnswer:
    """Tell how a verification stands; what became of each SMS is for servers."""
    sends = [_send(send) for send in result.verification.sends] if with_sends else None
    return StatusAnswer(**_facts(result), sends=sends)


def approved(result: Approved) -> ApprovedAnswer:
    """Tell that the code was right. Our own values are not checked again: this is the hottest path."""
    return ApprovedAnswer.model_construct(
        status=Status.APPROVED,
        verification_id=result.verification_id,
        purpose=result.purpose,
        phone=result.phone.e164,
        proof=result.proof,
        proof_expires_in=result.proof_expires_in,
    )


def redeemed(proof: Proof) -> RedeemedAnswer:
    """Tell what a proof said."""
    return RedeemedAnswer(
        phone=proof.phone,
        purpose=proof.purpose,
        verification_id=proof.verification_id,
        client=proof.client,
        verified_at=utc(proof.issued_at),
        amr=list(proof.amr),
    )


def page(url: str, ends_at: float, now: float) -> PageAnswer:
    """Tell where a hosted page is, and how long."""
    left = max(0, math.floor(ends_at - now))
    return PageAnswer(url=url, expires_at=utc(math.floor(ends_at)), expires_in=left)


def ready(routes: Sequence[dict[str, object]], *, persists: bool, alarm: int) -> ReadyAnswer:
    """Tell that the store is well and *persists* or not, the level of the *alarm*, and how *routes* do."""
    told = [RouteAnswer.model_validate(route) for route in routes]
    warnings: list[Literal["store_not_persistent", "wrong_code_alarm"]] = []
    if not persists:
        warnings.append("store_not_persistent")
    if alarm:
        warnings.append("wrong_code_alarm")
    well = all(route.state == "ok" for route in told)
    return ReadyAnswer(
        status="ready" if well else "degraded",
        warnings=warnings,
        routes=told,
    )


@lru_cache(maxsize=1024)  # of the calls of a second, and of the lives of their codes
def utc(seconds: int) -> str:
    """Return unix *seconds* as RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _facts(result: SendOutcome) -> dict[str, Any]:
    """Times are rounded as their relative twins: an end down, a beginning up."""
    verification: Verification = result.verification
    resend_at = verification.resend_at
    return {
        "verification_id": result.verification_id,
        "status": verification.status,
        "purpose": verification.purpose,
        "phone_masked": result.phone.masked(),
        "code_length": LENGTH,
        "code_type": verification.code_type,
        "expires_at": utc(math.floor(verification.expires_at)),
        "expires_in": verification.expires_in,
        "resend_at": None if resend_at is None else utc(math.ceil(resend_at)),
        "resend_in": verification.resend_in,
        "sends_left": verification.sends_left,
        "attempts_left": verification.attempts_left,
        "delivery": verification.delivery,
    }


def _send(send: SmsSend) -> SendAnswer:
    return SendAnswer(
        number=send.number,
        delivery=send.delivery,
        at=utc(math.floor(send.at)),
        route=send.route,
        reason=_reason(send.reason) if send.delivery is DeliveryStatus.UNDELIVERED else None,
    )


def _reason(code: str) -> ReasonAnswer:
    reason = describe_failure(code)
    return ReasonAnswer(code=reason.code, en=reason.english, zh=reason.chinese)
