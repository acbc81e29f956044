"""Endpoints: what each call asks of the service and how it answers. Touches the service only.

A view gets a caller and a validated body, and returns a reply or raises; it knows nothing of Flask.
"""

from __future__ import annotations

from dataclasses import dataclass

from otp_service.domain.clients import Caller, KeyKind
from otp_service.domain.errors import FieldError, Forbidden, InvalidRequest
from otp_service.domain.verification import DeliveryStatus
from otp_service.services.idempotency import IdempotencyKey
from otp_service.services.verification import SendOutcome
from otp_service.web.api import answers, auth
from otp_service.web.api.answers import Answer
from otp_service.web.api.payloads import (
    PageBody,
    PhoneBody,
    RedeemBody,
    RequestBody,
    VerificationBody,
    VerifyBody,
)
from otp_service.web.dependencies import ApiDependencies
from otp_service.web.hosted_page.views import page_url

_ON_ITS_WAY = frozenset({DeliveryStatus.ACCEPTED, DeliveryStatus.DELIVERED, DeliveryStatus.UNDELIVERED})


@dataclass(frozen=True, slots=True)
class ApiResult:
    """A successful outcome: its HTTP status and what it tells, if anything.

    *replayed*: an idempotency key says that it was told before.
    """

    status: int
    answer: Answer | None = None
    replayed: bool = False


def request(
    parts: ApiDependencies, caller: Caller, body: RequestBody, repeat: IdempotencyKey | None
) -> ApiResult:
    """Send the code of a new verification, or of a given one once more."""
    if body.known_phone is not None or body.known_device is not None:
        auth.admit(caller, auth.SERVERS)
    if body.accepts_challenge is not None:
        auth.admit(caller, auth.SERVERS)
    send = _request if body.verification_id is None else _resend
    sent = send(parts, caller, body, repeat)
    return ApiResult(_status(sent), answers.sent(sent), sent.replayed)


def verify(
    parts: ApiDependencies, caller: Caller, body: VerifyBody, repeat: IdempotencyKey | None
) -> ApiResult:
    """Submit a code."""
    approved = parts.service.verify(
        caller.client,
        body.phone,
        body.verification_id,
        body.code,
        client_ip=_client_ip(caller, body),
        is_public=_is_public(caller),
        idempotency_key=repeat,
    )
    return ApiResult(200, answers.approved(approved), approved.replayed)


def redeem(
    parts: ApiDependencies, caller: Caller, body: RedeemBody, repeat: IdempotencyKey | None
) -> ApiResult:
    """Use a proof up."""
    redeemed = parts.service.redeem(
        caller.client,
        body.proof,
        purpose=body.purpose,
        allow_test=body.allow_test or False,
        idempotency_key=repeat,
    )
    return ApiResult(200, answers.redeemed(redeemed.proof), redeemed.replayed)


def status(parts: ApiDependencies, caller: Caller, body: VerificationBody) -> ApiResult:
    """Look at a verification."""
    standing = parts.service.status(
        caller.client,
        body.phone,
        body.verification_id,
        client_ip=caller.address,
        is_public=_is_public(caller),
    )
    return ApiResult(200, answers.standing(standing, with_sends=caller.kind in auth.SERVERS))


def cancel(parts: ApiDependencies, caller: Caller, body: VerificationBody) -> ApiResult:
    """End a verification."""
    parts.service.cancel(
        caller.client,
        body.phone,
        body.verification_id,
        client_ip=caller.address,
        is_public=_is_public(caller),
    )
    return ApiResult(204)


def unlock(parts: ApiDependencies, caller: Caller, body: PhoneBody) -> ApiResult:
    """Forget the failures of a phone, for those who may."""
    if not caller.client.may_unlock:
        raise Forbidden
    parts.service.unlock(caller.client, body.phone)
    return ApiResult(204)


def make_page(parts: ApiDependencies, caller: Caller, body: PageBody) -> ApiResult:
    """Make a hosted page."""
    made = parts.pages.create(
        caller.client,
        purpose=body.purpose,
        return_url=body.return_url,
        state=body.state or "",
        locale=body.locale or "",
        client_ip=_client_ip(caller, body),
    )
    url = page_url(parts, made.page_id)
    return ApiResult(201, answers.page(url, made.ends_at, parts.clock.now()))


def _status(sent: SendOutcome) -> int:
    if sent.outcome_unknown:
        return 202
    if not sent.dispatched:
        return 200
    return 201 if sent.verification.delivery in _ON_ITS_WAY else 202


def _request(
    parts: ApiDependencies, caller: Caller, body: RequestBody, repeat: IdempotencyKey | None
) -> SendOutcome:
    return parts.service.request(
        caller.client,
        body.phone,
        purpose=body.purpose,
        locale=body.locale or "",
        client_ip=_client_ip(caller, body),
        is_public=_is_public(caller),
        known_phone=body.known_phone or False,
        accepts_challenge=body.accepts_challenge or False,
        known_device=body.known_device or False,
        risk_solution=body.risk_solution or "",
        idempotency_key=repeat,
    )


def _resend(
    parts: ApiDependencies, caller: Caller, body: RequestBody, repeat: IdempotencyKey | None
) -> SendOutcome:
    if body.purpose is not None:
        raise _invalid("/purpose", "must be left out of a resend")
    return parts.service.resend(
        caller.client,
        body.phone,
        body.verification_id or "",
        locale=body.locale or "",
        client_ip=_client_ip(caller, body),
        is_public=_is_public(caller),
        known_phone=body.known_phone or False,
        accepts_challenge=body.accepts_challenge or False,
        known_device=body.known_device or False,
        risk_solution=body.risk_solution or "",
        idempotency_key=repeat,
    )


def _client_ip(caller: Caller, body: RequestBody | VerifyBody | PageBody) -> str | None:
    """Return the end user's address: a browser's own, or what a server says; some servers must say it."""
    if body.client_ip is not None:
        auth.admit(caller, auth.SERVERS)
    elif caller.kind not in auth.SERVERS:
        return caller.address
    elif caller.client.require_client_ip:
        raise _invalid("/client_ip", "is required for this client")
    return body.client_ip


def _is_public(caller: Caller) -> bool:
    return caller.kind is KeyKind.PUBLISHABLE


def _invalid(pointer: str, detail: str) -> InvalidRequest:
    return InvalidRequest([FieldError(pointer=pointer, detail=detail)])
