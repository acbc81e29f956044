"""The views of the API: what each endpoint asks of the services, and how it responds.

A view takes an authenticated call and a validated body. It returns a result or raises a domain error.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Request

from otp_service.domain.clients import Caller, KeyKind
from otp_service.domain.errors import FieldError, Forbidden, InvalidRequest
from otp_service.domain.verification import DeliveryStatus
from otp_service.services.idempotency import IdempotencyKey
from otp_service.services.verification import SendOutcome
from otp_service.web.api import auth, schemas
from otp_service.web.api.schemas import (
    CreatePageRequest,
    RedeemRequest,
    ResponseModel,
    SendCodeRequest,
    UnlockRequest,
    VerificationRequest,
    VerifyRequest,
)
from otp_service.web.dependencies import ApiDependencies
from otp_service.web.hosted_page.views import page_url

_ACCEPTED = frozenset({DeliveryStatus.ACCEPTED, DeliveryStatus.DELIVERED, DeliveryStatus.UNDELIVERED})


@dataclass(frozen=True, slots=True)
class ApiCall:
    """An authenticated call. *idempotency_key* is None without the header `Idempotency-Key`."""

    deps: ApiDependencies
    caller: Caller
    request: Request
    idempotency_key: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class ApiResult:
    """A successful outcome: its HTTP status and its body, if it has one.

    *replayed*: this is the result of an earlier call with the same idempotency key.
    """

    status: int
    body: ResponseModel | None = None
    replayed: bool = False


def request(call: ApiCall, body: SendCodeRequest) -> ApiResult:
    """Send the code of a new verification, or another SMS of an existing one."""
    if body.known_phone is not None or body.known_device is not None:
        auth.require_kind(call.caller, auth.SERVERS)
    if body.accepts_challenge is not None:
        auth.require_kind(call.caller, auth.SERVERS)
    outcome = _request(call, body) if body.verification_id is None else _resend(call, body)
    return ApiResult(_send_status(outcome), schemas.verification_response(outcome), outcome.replayed)


def verify(call: ApiCall, body: VerifyRequest) -> ApiResult:
    """Submit a code."""
    approved = call.deps.service.verify(
        call.caller.client,
        body.phone,
        body.verification_id,
        body.code,
        client_ip=_client_ip(call.caller, body),
        is_public=_is_public(call.caller),
        idempotency_key=call.idempotency_key,
    )
    return ApiResult(200, schemas.approved_response(approved), approved.replayed)


def redeem(call: ApiCall, body: RedeemRequest) -> ApiResult:
    """Redeem a proof."""
    redeemed = call.deps.service.redeem(
        call.caller.client,
        body.proof,
        purpose=body.purpose,
        allow_test=body.allow_test or False,
        idempotency_key=call.idempotency_key,
    )
    return ApiResult(200, schemas.redeemed_response(redeemed.proof), redeemed.replayed)


def status(call: ApiCall, body: VerificationRequest) -> ApiResult:
    """Look up a verification."""
    outcome = call.deps.service.status(
        call.caller.client,
        body.phone,
        body.verification_id,
        client_ip=call.caller.client_ip,
        is_public=_is_public(call.caller),
    )
    with_sends = call.caller.kind in auth.SERVERS
    return ApiResult(200, schemas.status_response(outcome, call.deps.describe_failure, with_sends=with_sends))


def cancel(call: ApiCall, body: VerificationRequest) -> ApiResult:
    """Cancel a verification."""
    call.deps.service.cancel(
        call.caller.client,
        body.phone,
        body.verification_id,
        client_ip=call.caller.client_ip,
        is_public=_is_public(call.caller),
    )
    return ApiResult(204)


def unlock(call: ApiCall, body: UnlockRequest) -> ApiResult:
    """Reset the failed attempts of a phone, if the client is allowed to."""
    if not call.caller.client.may_unlock:
        raise Forbidden
    call.deps.service.unlock(call.caller.client, body.phone)
    return ApiResult(204)


def create_page(call: ApiCall, body: CreatePageRequest) -> ApiResult:
    """Create a hosted page."""
    created = call.deps.pages.create(
        call.caller.client,
        purpose=body.purpose,
        return_url=body.return_url,
        state=body.state or "",
        locale=body.locale or "",
        client_ip=_client_ip(call.caller, body),
    )
    url = page_url(call.deps, call.request, created.page_id)
    return ApiResult(201, schemas.page_response(url, created.ends_at, call.deps.clock.now()))


def _send_status(outcome: SendOutcome) -> int:
    if outcome.outcome_unknown:
        return 202
    if not outcome.dispatched:
        return 200
    return 201 if outcome.verification.delivery in _ACCEPTED else 202


def _request(call: ApiCall, body: SendCodeRequest) -> SendOutcome:
    return call.deps.service.request(
        call.caller.client,
        body.phone,
        purpose=body.purpose,
        locale=body.locale or "",
        client_ip=_client_ip(call.caller, body),
        is_public=_is_public(call.caller),
        known_phone=body.known_phone or False,
        accepts_challenge=body.accepts_challenge or False,
        known_device=body.known_device or False,
        risk_solution=body.risk_solution or "",
        idempotency_key=call.idempotency_key,
    )


def _resend(call: ApiCall, body: SendCodeRequest) -> SendOutcome:
    if body.purpose is not None:
        raise _invalid("/purpose", "must be left out of a resend")
    return call.deps.service.resend(
        call.caller.client,
        body.phone,
        body.verification_id or "",
        locale=body.locale or "",
        client_ip=_client_ip(call.caller, body),
        is_public=_is_public(call.caller),
        known_phone=body.known_phone or False,
        accepts_challenge=body.accepts_challenge or False,
        known_device=body.known_device or False,
        risk_solution=body.risk_solution or "",
        idempotency_key=call.idempotency_key,
    )


def _client_ip(caller: Caller, body: SendCodeRequest | VerifyRequest | CreatePageRequest) -> str | None:
    """Return the end user's IP address: that of the browser itself, or the one that a server states."""
    if body.client_ip is not None:
        auth.require_kind(caller, auth.SERVERS)
    elif caller.kind not in auth.SERVERS:
        return caller.client_ip
    elif caller.client.require_client_ip:
        raise _invalid("/client_ip", "is required for this client")
    return body.client_ip


def _is_public(caller: Caller) -> bool:
    return caller.kind is KeyKind.PUBLISHABLE


def _invalid(pointer: str, detail: str) -> InvalidRequest:
    return InvalidRequest([FieldError(pointer=pointer, detail=detail)])
