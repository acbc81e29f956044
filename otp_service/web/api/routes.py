"""Calls: every POST of the API, who may make it, what it takes and what it answers.

The blueprint mounts this table and the OpenAPI document is written from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from otp_service.domain import errors
from otp_service.domain.clients import KeyKind
from otp_service.domain.errors import OtpError
from otp_service.web.api import answers, auth, endpoints, payloads
from otp_service.web.api.endpoints import ApiResult
from otp_service.web.api.payloads import Body


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call. *answers* maps each status of success to its model, None for no body.

    *repeatable*: it takes an idempotency key.
    """

    name: str
    path: str
    summary: str
    description: str
    callers: frozenset[KeyKind]
    body: type[Body]
    view: Callable[..., ApiResult]
    answers: Mapping[int, type[answers.Answer] | None]
    problems: tuple[type[OtpError], ...]
    repeatable: bool = False

    def all_problems(self) -> tuple[type[OtpError], ...]:
        """Return every error this call may end in, those of any call included."""
        of_repeats = _OF_REPEATS if self.repeatable else ()
        return (*_OF_ANY_CALL, *of_repeats, *self.problems)


_OF_ANY_CALL = (
    errors.InvalidRequest,
    errors.Unauthorized,
    errors.Forbidden,
    errors.PayloadTooLarge,
    errors.UnsupportedMediaType,
    errors.InternalError,
    errors.StoreUnavailable,
)
_OF_REPEATS = (errors.IdempotencyInProgress, errors.IdempotencyKeyReused)
_OF_A_PHONE = (errors.InvalidPhone, errors.DestinationBlocked)

ENDPOINTS = (
    Endpoint(
        name="request",
        path="/otp/request",
        summary="Send a code",
        description="Opens a verification and sends its code by SMS. With `verification_id` it sends the "
        "same code once more. 202 means that the provider did not say in time whether the SMS is on its way: "
        "treat it as sent. 200 answers a resend by which nothing was sent: the last SMS, whose outcome was "
        "not known, turned out to be on its way or must be taken for it.",
        callers=auth.EVERYONE,
        body=payloads.RequestBody,
        view=endpoints.request,
        answers=dict.fromkeys((200, 201, 202), answers.VerificationAnswer),
        problems=(
            *_OF_A_PHONE,
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
        repeatable=True,
    ),
    Endpoint(
        name="verify",
        path="/otp/verify",
        summary="Submit a code",
        description="Counts one attempt and, if the code is right, approves the verification and answers "
        "with a signed proof. A code of impossible form uses no attempt up.",
        callers=auth.EVERYONE,
        body=payloads.VerifyBody,
        view=endpoints.verify,
        answers={200: answers.ApprovedAnswer},
        problems=(
            *_OF_A_PHONE,
            errors.InvalidCode,
            errors.WrongCode,
            errors.VerificationNotFound,
            errors.AlreadyVerified,
            errors.VerificationExpired,
            errors.VerificationCanceled,
            errors.AttemptsExhausted,
            errors.LimitReached,
        ),
        repeatable=True,
    ),
    Endpoint(
        name="redeem",
        path="/otp/redeem",
        summary="Use a proof up",
        description="Answers with what the proof says, once. The second time it is a 409.",
        callers=auth.SERVERS,
        body=payloads.RedeemBody,
        view=endpoints.redeem,
        answers={200: answers.RedeemedAnswer},
        problems=(errors.InvalidProof, errors.ProofExpired, errors.ProofRedeemed),
        repeatable=True,
    ),
    Endpoint(
        name="status",
        path="/otp/status",
        summary="Look at a verification",
        description="Tells how a verification stands and, to secret keys, what became of each of its SMS.",
        callers=auth.EVERYONE,
        body=payloads.VerificationBody,
        view=endpoints.status,
        answers={200: answers.StatusAnswer},
        problems=(*_OF_A_PHONE, errors.VerificationNotFound),
    ),
    Endpoint(
        name="cancel",
        path="/otp/cancel",
        summary="End a verification",
        description="Its code is worth nothing from then on. Canceling twice is no error.",
        callers=auth.EVERYONE,
        body=payloads.VerificationBody,
        view=endpoints.cancel,
        answers={204: None},
        problems=(
            *_OF_A_PHONE,
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
        description="Forgets the wrong codes of a phone, so that it can be verified again after too many in "
        "a row. Only for clients with `may_unlock`. The answer is the same whether it was locked or not.",
        callers=auth.SERVERS,
        body=payloads.PhoneBody,
        view=endpoints.unlock,
        answers={204: None},
        problems=_OF_A_PHONE,
    ),
    Endpoint(
        name="make_page",
        path="/otp/pages",
        summary="Make a hosted page",
        description="Answers with a one-time address, good for ten minutes, at which a visitor verifies a "
        "phone without any script of yours. At the end the page posts `proof` and `state` to `return_url`.",
        callers=auth.SERVERS,
        body=payloads.PageBody,
        view=endpoints.make_page,
        answers={201: answers.PageAnswer},
        problems=(errors.LimitReached,),
    ),
)
