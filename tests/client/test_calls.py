"""The calls of the client: requests and responses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from support.scripted_service import ScriptedService, proof_of, resets, says

from otp_service_client import (
    Approved,
    OtpClient,
    OutcomeUnknown,
    Reason,
    Redeemed,
    SendStatus,
    Sent,
    UnexpectedAnswer,
    VerificationStatus,
    calls,
)

PHONE, ID = "+8613800138000", "v" * 22
PROOF = proof_of(verification_id=ID, phone=PHONE)
PENDING = {
    "verification_id": ID,
    "status": "pending",
    "purpose": "login",
    "phone_masked": "+86 138****8000",
    "code_length": 6,
    "code_type": "digits",
    "expires_at": "2026-11-23T08:12:41Z",
    "expires_in": 300,
    "resend_at": "2026-11-23T08:08:41.250Z",
    "resend_in": 60,
    "sends_left": 3,
    "attempts_left": 5,
    "delivery": "accepted",
}
SEND = {"number": 1, "delivery": "delivered", "at": "2026-11-23T08:07:41Z", "route": "main"}
APPROVED = {
    "status": "approved",
    "verification_id": ID,
    "purpose": "login",
    "phone": PHONE,
    "proof": PROOF,
    "proof_expires_in": 180,
}
REDEEMED = {
    "phone": PHONE,
    "purpose": "login",
    "verification_id": ID,
    "client": "shop",
    "verified_at": "2026-11-23T08:07:59Z",
    "amr": ["sms"],
}

CALLS: dict[str, tuple[Callable[[OtpClient], object], str, dict[str, str]]] = {
    "request": (lambda c: c.request(PHONE), "/otp/request", {"phone": PHONE}),
    "request, all arguments": (
        lambda c: c.request(PHONE, purpose="login", locale="zh-CN", client_ip="192.0.2.1"),
        "/otp/request",
        {"phone": PHONE, "purpose": "login", "locale": "zh-CN", "client_ip": "192.0.2.1"},
    ),
    "request, empty client_ip": (
        lambda c: c.request(PHONE, client_ip=""),  # the service must reject it
        "/otp/request",
        {"phone": PHONE, "client_ip": ""},
    ),
    "resend": (
        lambda c: c.resend(PHONE, ID),
        "/otp/request",
        {"phone": PHONE, "verification_id": ID},
    ),
    "resend, all arguments": (
        lambda c: c.resend(PHONE, ID, locale="en", client_ip="192.0.2.1"),
        "/otp/request",
        {"phone": PHONE, "verification_id": ID, "locale": "en", "client_ip": "192.0.2.1"},
    ),
    "verify": (
        lambda c: c.verify(PHONE, ID, "012345"),
        "/otp/verify",
        {"phone": PHONE, "verification_id": ID, "code": "012345"},
    ),
    "verify, all arguments": (
        lambda c: c.verify(PHONE, ID, "012345", client_ip="192.0.2.1"),
        "/otp/verify",
        {"phone": PHONE, "verification_id": ID, "code": "012345", "client_ip": "192.0.2.1"},
    ),
    "redeem": (
        lambda c: c.redeem(PROOF, purpose="login"),
        "/otp/redeem",
        {"proof": PROOF, "purpose": "login"},
    ),
    "status": (
        lambda c: c.status(PHONE, ID),
        "/otp/status",
        {"phone": PHONE, "verification_id": ID},
    ),
    "cancel": (
        lambda c: c.cancel(PHONE, ID),
        "/otp/cancel",
        {"phone": PHONE, "verification_id": ID},
    ),
    "unlock": (lambda c: c.unlock(PHONE), "/otp/unlock", {"phone": PHONE}),
}
RESPONSES = {
    "/otp/request": says(201, PENDING),
    "/otp/verify": says(200, APPROVED),
    "/otp/redeem": says(200, REDEEMED),
    "/otp/status": says(200, PENDING | {"sends": [SEND]}),
    "/otp/cancel": says(204),
    "/otp/unlock": says(204),
}


@pytest.mark.parametrize(("call", "path", "body"), CALLS.values(), ids=CALLS.keys())
def test_call_sends_its_arguments_and_no_more(
    service: ScriptedService,
    client: OtpClient,
    call: Callable[[OtpClient], object],
    path: str,
    body: dict[str, str],
) -> None:
    service.will(RESPONSES[path])
    call(client)

    [seen] = service.calls
    assert (seen.path, seen.json) == (path, body)
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["Authorization"] == "Bearer sk_never_shown_anywhere"
    assert seen.headers["User-Agent"].startswith("otp_service-client/")


@pytest.mark.parametrize(("status", "delivery"), [(201, "accepted"), (202, "unknown")])
def test_request_returns_the_state_of_the_verification(
    service: ScriptedService, client: OtpClient, status: int, delivery: str
) -> None:
    service.will(says(status, PENDING | {"delivery": delivery}))

    assert client.request(PHONE) == Sent(
        verification_id=ID,
        status="pending",
        purpose="login",
        phone_masked="+86 138****8000",
        code_length=6,
        code_type="digits",
        expires_at=datetime(2026, 11, 23, 8, 12, 41, tzinfo=UTC),
        expires_in=300,
        resend_at=datetime(2026, 11, 23, 8, 8, 41, 250_000, tzinfo=UTC),
        resend_in=60,
        sends_left=3,
        attempts_left=5,
        delivery=delivery,
    )


def test_last_sms_has_no_resend_time(service: ScriptedService, client: OtpClient) -> None:
    service.will(says(201, PENDING | {"resend_at": None, "resend_in": None, "sends_left": 0}))
    sent = client.resend(PHONE, ID)

    assert (sent.resend_at, sent.resend_in, sent.sends_left) == (None, None, 0)


def test_status_returns_the_delivery_of_each_sms(service: ScriptedService, client: OtpClient) -> None:
    service.will(RESPONSES["/otp/status"])
    status = client.status(PHONE, ID)

    assert isinstance(status, VerificationStatus)
    at = datetime(2026, 11, 23, 8, 7, 41, tzinfo=UTC)
    assert status.sends == (SendStatus(1, "delivered", at, "main", None),)


def test_verify_returns_the_proof(service: ScriptedService, client: OtpClient) -> None:
    service.will(RESPONSES["/otp/verify"])

    assert client.verify(PHONE, ID, "012345") == Approved(ID, "login", PHONE, PROOF, 180)


def test_redeem_returns_the_claims(service: ScriptedService, client: OtpClient) -> None:
    service.will(RESPONSES["/otp/redeem"])
    verified_at = datetime(2026, 11, 23, 8, 7, 59, tzinfo=UTC)

    assert client.redeem(PROOF, purpose="login") == Redeemed(
        ID, "shop", "login", PHONE, verified_at, ("sms",)
    )


def test_unknown_members_are_ignored(service: ScriptedService, client: OtpClient) -> None:
    service.will(says(201, PENDING | {"new": 1}), says(200, APPROVED | {"new": {}}))

    assert client.request(PHONE).verification_id == ID
    assert client.verify(PHONE, ID, "012345").proof == PROOF


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"null",
        b"\xff",
        b"",
        {},
        APPROVED | {"amr": 1, "verified_at": "yesterday"},
        REDEEMED | {"verified_at": None},
        {name: value for name, value in REDEEMED.items() if name != "phone"},
    ],
)
def test_unreadable_response_leaves_the_outcome_unknown(
    service: ScriptedService, client: OtpClient, body: object
) -> None:
    service.will(says(200, body))
    with pytest.raises(OutcomeUnknown):
        client.redeem(PROOF, purpose="login")

    assert len(service.calls) == 1


@pytest.mark.parametrize("status", [200, 404])
def test_long_response_is_not_read_to_its_end(
    service: ScriptedService, client: OtpClient, status: int
) -> None:
    long = {**REDEEMED, "new": "x" * 2 * calls.MAX_RESPONSE_BYTES}
    service.will(says(status, long), says(204))
    with pytest.raises(OutcomeUnknown if status == 200 else UnexpectedAnswer):
        client.redeem(PROOF, purpose="login")
    client.cancel(PHONE, ID)

    assert service.calls[0].peer != service.calls[1].peer


def test_repr_of_results_hides_phone_and_proof(service: ScriptedService, client: OtpClient) -> None:
    service.will(RESPONSES["/otp/verify"], RESPONSES["/otp/redeem"])
    printed = f"{client.verify(PHONE, ID, '012345')!r} {client.redeem(PROOF, purpose='login')!r}"

    assert "00138000" not in printed
    assert PROOF not in printed


def test_cookies_are_not_kept(service: ScriptedService, client: OtpClient) -> None:
    service.will(says(204, Set_Cookie="a=b"), says(204))
    client.cancel(PHONE, ID)
    client.cancel(PHONE, ID)

    assert [call.headers.get("Cookie") for call in service.calls] == [None, None]


def test_call_with_an_idempotency_key_is_repeated_when_its_response_is_lost(
    service: ScriptedService, client: OtpClient
) -> None:
    service.will(resets, RESPONSES["/otp/verify"])

    client.verify(PHONE, ID, "012345", idempotency_key="order-17")

    assert [call.headers["Idempotency-Key"] for call in service.calls] == ["order-17", "order-17"]


@pytest.mark.parametrize("key", ["", "a\nb", "a\r\nX: y", " a", "a ", "ключ", "订单", "\ud800", "k" * 256])
def test_invalid_idempotency_key_is_rejected_before_anything_is_sent(
    service: ScriptedService, client: OtpClient, key: str
) -> None:
    with pytest.raises(ValueError, match="idempotency_key must be 1 to 255 printable ASCII characters"):
        client.redeem(PROOF, purpose="login", idempotency_key=key)

    assert service.calls == []


@pytest.mark.parametrize("key", ["k", "order 17", "k" * 255])
def test_valid_idempotency_key_is_sent(service: ScriptedService, client: OtpClient, key: str) -> None:
    service.will(RESPONSES["/otp/redeem"])
    client.redeem(PROOF, purpose="login", idempotency_key=key)

    assert service.calls[0].headers["Idempotency-Key"] == key


def test_call_without_an_idempotency_key_is_not_repeated(service: ScriptedService, client: OtpClient) -> None:
    service.will(resets)
    with pytest.raises(OutcomeUnknown):
        client.verify(PHONE, ID, "012345")

    assert len(service.calls) == 1
    assert "Idempotency-Key" not in service.calls[0].headers


def test_status_returns_why_an_sms_did_not_arrive(service: ScriptedService, client: OtpClient) -> None:
    reason = {"code": "MOBILE_NOT_ON_SERVICE", "en": "The number is switched off.", "zh": "停机"}
    send = {"number": 1, "delivery": "undelivered", "at": "2026-11-23T08:07:41Z", "route": "main"}
    service.will(says(200, {**PENDING, "sends": [{**send, "reason": reason}]}))

    (sent,) = client.status(PHONE, ID).sends

    assert sent.reason == Reason(**reason)


def test_request_sends_risk_hints_and_the_solution_of_a_challenge(
    service: ScriptedService, client: OtpClient
) -> None:
    service.will(RESPONSES["/otp/request"])
    client.request(PHONE, risk_solution="solved", known_phone=True, known_device=True, accepts_challenge=True)

    (call,) = service.calls
    assert call.json["risk_solution"] == "solved"
    assert [call.json[name] for name in ("known_phone", "known_device", "accepts_challenge")] == [True] * 3
