"""Endpoints: what each call asks of the service and how it answers. Touches the service only.

A view gets a caller and a validated body, and returns a reply or raises; it knows nothing of Flask.
"""

from __future__ import annotations

from dataclasses import dataclass

from otp_service.clients import Caller
from otp_service.errors import FieldError, InvalidRequest
from otp_service.service import Sent
from otp_service.verification import Delivery
from otp_service.web import answers, auth
from otp_service.web.answers import Answer
from otp_service.web.parts import WebParts
from otp_service.web.payloads import RedeemBody, RequestBody, VerificationBody, VerifyBody

_ON_ITS_WAY = frozenset({Delivery.ACCEPTED, Delivery.DELIVERED, Delivery.UNDELIVERED})


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful outcome: its HTTP status and what it tells, if anything."""

    status: int
    answer: Answer | None = None


def request(parts: WebParts, caller: Caller, body: RequestBody) -> Reply:
    """Send the code of a new verification, or of a given one once more."""
    if body.known_phone is not None:
        auth.admit(caller, auth.SERVERS)
    sent = _resend(parts, caller, body) if body.verification_id is not None else _request(parts, caller, body)
    return Reply(_status(sent), answers.sent(sent))


def verify(parts: WebParts, caller: Caller, body: VerifyBody) -> Reply:
    """Submit a code."""
    approved = parts.service.verify(
        caller.client, body.phone, body.verification_id, body.code, client_ip=_client_ip(caller, body)
    )
    return Reply(200, answers.approved(approved))


def redeem(parts: WebParts, caller: Caller, body: RedeemBody) -> Reply:
    """Use a proof up."""
    return Reply(200, answers.redeemed(parts.service.redeem(caller.client, body.proof, purpose=body.purpose)))


def status(parts: WebParts, caller: Caller, body: VerificationBody) -> Reply:
    """Look at a verification."""
    return Reply(200, answers.standing(parts.service.status(caller.client, body.phone, body.verification_id)))


def cancel(parts: WebParts, caller: Caller, body: VerificationBody) -> Reply:
    """End a verification."""
    parts.service.cancel(caller.client, body.phone, body.verification_id)
    return Reply(204)


def _status(sent: Sent) -> int:
    if not sent.by_this_call:
        return 200
    return 201 if sent.verification.delivery in _ON_ITS_WAY else 202


def _request(parts: WebParts, caller: Caller, body: RequestBody) -> Sent:
    return parts.service.request(
        caller.client,
        body.phone,
        purpose=body.purpose,
        locale=body.locale or "",
        client_ip=_client_ip(caller, body),
        known_phone=body.known_phone or False,
    )


def _resend(parts: WebParts, caller: Caller, body: RequestBody) -> Sent:
    if body.purpose is not None:
        raise _invalid("/purpose", "must be left out of a resend")
    return parts.service.resend(
        caller.client,
        body.phone,
        body.verification_id or "",
        locale=body.locale or "",
        client_ip=_client_ip(caller, body),
        known_phone=body.known_phone or False,
    )


def _client_ip(caller: Caller, body: RequestBody | VerifyBody) -> str | None:
    """Return the end user's address. Only a server is believed, and some servers must tell it."""
    if body.client_ip is not None:
        auth.admit(caller, auth.SERVERS)
    elif caller.client.require_client_ip and caller.kind in auth.SERVERS:
        raise _invalid("/client_ip", "is required for this client")
    return body.client_ip


def _invalid(pointer: str, detail: str) -> InvalidRequest:
    return InvalidRequest([FieldError(pointer=pointer, detail=detail)])
