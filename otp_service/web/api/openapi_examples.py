"""Example requests, responses and problems for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otp_service.domain.codes import CodeType
from otp_service.domain.errors import (
    ChallengeRequired,
    InvalidRequest,
    LimitError,
    OtpError,
    RetryableError,
    WrongCode,
)
from otp_service.domain.phone import Phone
from otp_service.domain.proofs import SMS, Proof
from otp_service.domain.reports import DeliveryFailure
from otp_service.domain.verification import DeliveryStatus, SmsSend, Status, Verification
from otp_service.services.verification import Approved, SendOutcome
from otp_service.web.api import problems, schemas
from otp_service.web.api.schemas import RequestModel, ResponseModel

STATUS_DESCRIPTIONS: Mapping[int, str] = {
    200: "Success.",
    201: "The provider accepted the SMS.",
    202: "It is not known yet whether the provider accepted the SMS. The code can be submitted anyway.",
    204: "Success, with an empty body.",
}

_NOW = 1_795_421_261.0
_ID = "bXkgdmVyaWZpY2F0aW9u_w"
_PROOF = "eyJpc3MiOiJvdHAi….aSNd-Q.k7…"
_PAGE = "https://otp.example.com/otp/pages/dGhpcyBpcyBubyByZWFsIGlkIGF0IGFs"
_PHONE = Phone(e164="+8613800138000", country="CN", kind="mobile", country_code=86)


_REQUEST_ID = "req_hB3XJ5o8yq0ZdTkM"
_CHALLENGE: dict[str, object] = {
    "algorithm": "SHA-256",
    "challenge": "2c5e8a…",
    "maxnumber": 50_000,
    "salt": "b1946ac9…?expires=1795421861&level=1&for=721c7e0a…&",
    "signature": "7f83b165…",
}


def request(model: type[RequestModel]) -> dict[str, Any]:
    """Return a request body with the first example of each field that has one."""
    examples = {name: field.examples for name, field in model.model_fields.items()}
    return {name: values[0] for name, values in examples.items() if values}


def response(model: type[ResponseModel], status: int) -> dict[str, Any]:
    """Return a response body of *model* with *status*."""
    is_unknown = status == 202  # noqa: PLR2004 - see STATUS_DESCRIPTIONS
    outcome = _outcome(DeliveryStatus.UNKNOWN if is_unknown else DeliveryStatus.ACCEPTED)
    by_model: Mapping[type[ResponseModel], ResponseModel] = {
        schemas.VerificationResponse: schemas.verification_response(outcome),
        schemas.StatusResponse: schemas.status_response(outcome, _describe_failure, with_sends=True),
        schemas.ApprovedResponse: schemas.approved_response(_approved(outcome)),
        schemas.RedeemedResponse: schemas.redeemed_response(_proof()),
        schemas.PageResponse: schemas.page_response(_PAGE, _NOW + 600, _NOW),
        schemas.HealthResponse: schemas.HealthResponse(),
        schemas.ReadyResponse: schemas.ready_response(
            [{"name": "main", "state": "ok"}], persists=True, risk_level=0
        ),
    }
    return by_model[model].model_dump(mode="json")


def problem(error: type[OtpError]) -> dict[str, object]:
    """Return a problem document for *error*."""
    return problems.document(_error(error), _REQUEST_ID)


def _error(error: type[OtpError]) -> OtpError:
    if issubclass(error, InvalidRequest):
        return error([{"pointer": "/phone", "detail": "is required"}])
    if issubclass(error, WrongCode):
        return error(4)
    if issubclass(error, LimitError):
        return error(42, "phone_cooldown")
    if issubclass(error, ChallengeRequired):
        return error(_CHALLENGE)
    return error(2) if issubclass(error, RetryableError) else error()


def _approved(outcome: SendOutcome) -> Approved:
    verification = outcome.verification
    return Approved(_ID, verification.purpose, _PHONE, _PROOF, 180)


def _outcome(delivery: DeliveryStatus) -> SendOutcome:
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


def _describe_failure(code: str) -> DeliveryFailure:
    return DeliveryFailure(code, "", "")
