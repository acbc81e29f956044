"""Samples: bodies and answers as they could be, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otp_service.domain.codes import CodeType
from otp_service.domain.phone import Phone
from otp_service.domain.proofs import SMS, Proof
from otp_service.domain.verification import DeliveryStatus, SmsSend, Status, Verification
from otp_service.services.verification import Approved, SendOutcome
from otp_service.web.api import answers
from otp_service.web.api.payloads import Body

MEANINGS: Mapping[int, str] = {
    200: "Done.",
    201: "The provider accepted the SMS.",
    202: "Whether the SMS is on its way is not known yet; the code can be submitted when it arrives.",
    204: "Done; there is nothing to tell.",
}

_NOW = 1_795_421_261.0
_ID = "bXkgdmVyaWZpY2F0aW9u_w"
_PROOF = "eyJpc3MiOiJvdHAi….aSNd-Q.k7…"
_PAGE = "https://otp.example.com/otp/pages/dGhpcyBpcyBubyByZWFsIGlkIGF0IGFs"
_PHONE = Phone(e164="+8613800138000", country="CN", kind="mobile", country_code=86)


def body(model: type[Body]) -> dict[str, Any]:
    """Return a body with the first example of each field that has one."""
    examples = {name: field.examples for name, field in model.model_fields.items()}
    return {name: values[0] for name, values in examples.items() if values}


def answer(model: type[answers.Answer], status: int) -> dict[str, Any]:
    """Return an answer of *model* as it comes with *status*."""
    sent = _sent(DeliveryStatus.UNKNOWN if status == 202 else DeliveryStatus.ACCEPTED)  # noqa: PLR2004 - see MEANINGS
    made: Mapping[type[answers.Answer], answers.Answer] = {
        answers.VerificationAnswer: answers.sent(sent),
        answers.StatusAnswer: answers.standing(sent, with_sends=True),
        answers.ApprovedAnswer: answers.approved(_approved(sent)),
        answers.RedeemedAnswer: answers.redeemed(_proof()),
        answers.PageAnswer: answers.page(_PAGE, _NOW + 600, _NOW),
        answers.HealthAnswer: answers.HealthAnswer(),
        answers.ReadyAnswer: answers.ready([{"name": "main", "state": "ok"}], persists=True, alarm=0),
    }
    return made[model].model_dump(mode="json")


def _approved(sent: SendOutcome) -> Approved:
    verification = sent.verification
    return Approved(_ID, verification.purpose, _PHONE, _PROOF, 180)


def _sent(delivery: DeliveryStatus) -> SendOutcome:
    verification = Verification(
        verification_hash="dGFnIG9mIGFuIGlk",
        client="shop",
        purpose="login",
        status=Status.PENDING,
        code_type=CodeType.DIGITS,
        issued_at=_NOW,
        expires_at=_NOW + 300,
        attempts_left=5,
        sends_left=3,
        resend_at=_NOW + 60,
        sends=(SmsSend(1, delivery, _NOW, "main"),),
        now=_NOW,
    )
    return SendOutcome(_ID, verification, _PHONE)


def _proof() -> Proof:
    return Proof(
        issuer="otp.example.com",
        client="shop",
        purpose="login",
        phone=_PHONE.e164,
        verification_id=_ID,
        issued_at=int(_NOW),
        expires_at=int(_NOW) + 180,
        amr=(SMS,),
    )
