"""The table of endpoints: every POST of the API, who may call it, its request, its responses and its errors.

The blueprint registers this table, and the OpenAPI document is generated from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from otp_service.domain import errors
from otp_service.domain.clients import KeyKind
from otp_service.domain.errors import OtpError
from otp_service.web.api import auth, endpoints, schemas
from otp_service.web.api.endpoints import ApiCall, ApiResult
from otp_service.web.api.schemas import RequestModel, ResponseModel


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint. *responses* maps each success status to its model, or to None for an empty body.

    *supports_idempotency*: it reads the header `Idempotency-Key`.
    """

    name: str
    path: str
    summary: str
    description: str
    callers: frozenset[KeyKind]
    body: type[RequestModel]
    view: Callable[[ApiCall, Any], ApiResult]
    responses: Mapping[int, type[ResponseModel] | None]
    problems: tuple[type[OtpError], ...]
    supports_idempotency: bool = False

    def all_problems(self) -> tuple[type[OtpError], ...]:
        """Return every error that this endpoint may respond with, including those common to all endpoints."""
        of_idempotency = _IDEMPOTENCY_ERRORS if self.supports_idempotency else ()
        return (*_COMMON_ERRORS, *of_idempotency, *self.problems)


_COMMON_ERRORS = (
    errors.InvalidRequest,
    errors.Unauthorized,
    errors.Forbidden,
    errors.PayloadTooLarge,
    errors.UnsupportedMediaType,
    errors.InternalError,
    errors.StoreUnavailable,
)
_IDEMPOTENCY_ERRORS = (errors.IdempotencyInProgress, errors.IdempotencyKeyReused)
_PHONE_ERRORS = (errors.InvalidPhone, errors.DestinationBlocked)

ENDPOINTS = (
    Endpoint(
        name="request",
        path="/otp/request",
        summary="Send a code",
        description="Creates a verification and sends its code by SMS. With `verification_id`, it sends the "
        "same code again. 202 means that the provider did not confirm in time that it accepted the SMS: "
        "treat it as sent. 200 means that a resend sent nothing: the outcome of the previous SMS was "
        "unknown, and that SMS was accepted after all, or must be assumed to be accepted.",
        callers=auth.EVERYONE,
        body=schemas.SendCodeRequest,
        view=endpoints.request,
        responses=dict.fromkeys((200, 201, 202), schemas.VerificationResponse),
        problems=(
            *_PHONE_ERRORS,
            errors.ChallengeRequired,
            errors.VerificationNotFound,
            errors.AlreadyVerified,
            errors.VerificationExpired,
            errors.VerificationCanceled,
            errors.AttemptsExhausted,
            errors.CooldownActive,
            errors.LimitReached,
            errors.DestinationRejected,
            errors.ProviderRateLimited,
            errors.ProviderMisconfigured,
            errors.ProviderUnavailable,
        ),
        supports_idempotency=True,
    ),
    Endpoint(
        name="verify",
        path="/otp/verify",
        summary="Submit a code",
        description="Counts one attempt and, if the code is correct, approves the verification and returns "
        "a signed proof. A malformed code does not count as an attempt.",
        callers=auth.EVERYONE,
        body=schemas.VerifyRequest,
        view=endpoints.verify,
        responses={200: schemas.ApprovedResponse},
        problems=(
            *_PHONE_ERRORS,
            errors.InvalidCode,
            errors.WrongCode,
            errors.VerificationNotFound,
            errors.AlreadyVerified,
            errors.VerificationExpired,
            errors.VerificationCanceled,
            errors.AttemptsExhausted,
            errors.LimitReached,
        ),
        supports_idempotency=True,
    ),
    Endpoint(
        name="redeem",
        path="/otp/redeem",
        summary="Redeem a proof",
        description="Returns the claims of a proof, only once. A second call is answered with 409.",
        callers=auth.SERVERS,
        body=schemas.RedeemRequest,
        view=endpoints.redeem,
        responses={200: schemas.RedeemedResponse},
        problems=(errors.InvalidProof, errors.ProofExpired, errors.ProofRedeemed),
        supports_idempotency=True,
    ),
    Endpoint(
        name="status",
        path="/otp/status",
        summary="Look up a verification",
        description="Returns the state of a verification and, for secret keys, the delivery status of each "
        "of its SMS.",
        callers=auth.EVERYONE,
        body=schemas.VerificationRequest,
        view=endpoints.status,
        responses={200: schemas.StatusResponse},
        problems=(*_PHONE_ERRORS, errors.VerificationNotFound),
    ),
    Endpoint(
        name="cancel",
        path="/otp/cancel",
        summary="Cancel a verification",
        description="Invalidates its code. Canceling twice is not an error.",
        callers=auth.EVERYONE,
        body=schemas.VerificationRequest,
        view=endpoints.cancel,
        responses={204: None},
        problems=(
            *_PHONE_ERRORS,
            errors.VerificationNotFound,
            errors.AlreadyVerified,
            errors.VerificationExpired,
            errors.AttemptsExhausted,
        ),
    ),
    Endpoint(
        name="unlock",
        path="/otp/unlock",
        summary="Unlock a phone",
        description="Resets the failed attempts of a phone, so that it can be verified again after too many "
        "wrong codes in a row. Only for clients with `may_unlock`. The response does not reveal whether the "
        "phone was locked.",
        callers=auth.SERVERS,
        body=schemas.UnlockRequest,
        view=endpoints.unlock,
        responses={204: None},
        problems=_PHONE_ERRORS,
    ),
    Endpoint(
        name="make_page",
        path="/otp/pages",
        summary="Create a hosted page",
        description="Returns a one-time URL, valid for ten minutes, at which a visitor verifies a phone "
        "without any script on your side. At the end, the page posts `proof` and `state` to `return_url`.",
        callers=auth.SERVERS,
        body=schemas.CreatePageRequest,
        view=endpoints.create_page,
        responses={201: schemas.PageResponse},
        problems=(errors.LimitReached,),
    ),
)

# ── label values of the request metric ──

OK = "ok"

_ERRORS_OF_OTHER_ROUTES: dict[str, tuple[type[OtpError], ...]] = {
    "reports": (
        errors.InvalidRequest,
        errors.NotFound,
        errors.PayloadTooLarge,
        errors.StoreUnavailable,
        errors.InternalError,
    ),
    "readyz": (errors.StoreUnavailable, errors.InternalError),
    "hosted_page": (errors.StoreUnavailable, errors.InternalError),
    "hosted_form": (
        errors.InvalidRequest,
        errors.PayloadTooLarge,
        errors.UnsupportedMediaType,
        errors.StoreUnavailable,
        errors.InternalError,
    ),
    "address_probe": (
        errors.InvalidRequest,
        errors.NotFound,
        errors.PayloadTooLarge,
        errors.UnsupportedMediaType,
        errors.InternalError,
    ),
    "none": (errors.NotFound, errors.MethodNotAllowed, errors.InternalError),
}
"""Routes outside of the API. Only their errors are counted, except for `hosted_form`."""


def endpoint_outcomes() -> Iterator[tuple[str, str]]:
    """List every pair of endpoint and result code, so that their counters can start at 0."""
    for endpoint in ENDPOINTS:
        yield endpoint.name, OK
        yield from ((endpoint.name, problem.code) for problem in endpoint.all_problems())
    yield "hosted_form", OK
    for name, problems in _ERRORS_OF_OTHER_ROUTES.items():
        yield from ((name, problem.code) for problem in problems)
