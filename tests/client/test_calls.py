"""The calls: what goes out and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from support.scripted_service import Scripted, proof_of, resets, says

from otp_service.client import (
    Approved,
    OtpClient,
    OutcomeUnknown,
    Reason,
    Redeemed,
    SendStatus,
    Sent,
    VerificationStatus,
)

PHONE, ID = "+8613800138000", "v" * 22
PROOF = proof_of(verification_id=ID, phone=PHONE)
STANDING = {
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
    "request, all said": (
        lambda c: c.request(PHONE, purpose="login", locale="zh-CN", client_ip="192.0.2.1"),
        "/otp/request",
        {"phone": PHONE, "purpose": "login", "locale": "zh-CN", "client_ip": "192.0.2.1"},
    ),
    "request, an empty address": (
        lambda c: c.request(PHONE, client_ip=""),  # a mistake that the service must see
        "/otp/request",
        {"phone": PHONE, "client_ip": ""},
    ),
    "resend": (
        lambda c: c.resend(PHONE, ID),
        "/otp/request",
        {"phone": PHONE, "verification_id": ID},
    ),
    "resend, all said": (
        lambda c: c.resend(PHONE, ID, locale="en", client_ip="192.0.2.1"),
        "/otp/request",
        {"phone": PHONE, "verification_id": ID, "locale": "en", "client_ip": "192.0.2.1"},
    ),
    "verify": (
        lambda c: c.verify(PHONE, ID, "012345"),
        "/otp/verify",
        {"phone": PHONE, "verification_id": ID, "code": "012345"},
    ),
    "verify, all said": (
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
ANSWERS = {
    "/otp/request": says(201, STANDING),
    "/otp/verify": says(200, APPROVED),
    "/otp/redeem": says(200, REDEEMED),
    "/otp/status": says(200, STANDING | {"sends": [SEND]}),
    "/otp/cancel": says(204),
    "/otp/unlock": says(204),
}


@pytest.mark.parametrize(("call", "path", "body"), CALLS.values(), ids=CALLS.keys())
def test_a_call_sends_what_it_was_given_and_no_more(
    service: Scripted,
    client: OtpClient,
    call: Callable[[OtpClient], object],
    path: str,
    body: dict[str, str],
) -> None:
    service.will(ANSWERS[path])
    call(client)

    [seen] = service.calls
    assert (seen.path, seen.json) == (path, body)
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["Authorization"] == "Bearer sk_never_shown_anywhere"
    assert seen.headers["User-Agent"].startswith("otp_service-client/")


@pytest.mark.parametrize(("status", "delivery"), [(201, "accepted"), (202, "unknown")])
def test_a_request_tells_how_things_stand(
    service: Scripted, client: OtpClient, status: int, delivery: str
) -> None:
    service.will(says(status, STANDING | {"delivery": delivery}))

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


def test_the_last_sms_has_no_resend_time(service: Scripted, client: OtpClient) -> None:
    service.will(says(201, STANDING | {"resend_at": None, "resend_in": None, "sends_left": 0}))
    sent = client.resend(PHONE, ID)

    assert (sent.resend_at, sent.resend_in, sent.sends_left) == (None, None, 0)


def test_a_status_tells_what_became_of_each_sms(service: Scripted, client: OtpClient) -> None:
    service.will(ANSWERS["/otp/status"])
    status = client.status(PHONE, ID)

    assert isinstance(status, VerificationStatus)
    at = datetime(2026, 11, 23, 8, 7, 41, tzinfo=UTC)
    assert status.sends == (SendStatus(1, "delivered", at, "main", None),)


def test_an_approval_holds_the_proof(service: Scripted, client: OtpClient) -> None:
    service.will(ANSWERS["/otp/verify"])

    assert client.verify(PHONE, ID, "012345") == Approved(ID, "login", PHONE, PROOF, 180)


def test_a_redeemed_proof_tells_what_it_proved(service: Scripted, client: OtpClient) -> None:
    service.will(ANSWERS["/otp/redeem"])
    verified_at = datetime(2026, 11, 23, 8, 7, 59, tzinfo=UTC)

    assert client.redeem(PROOF, purpose="login") == Redeemed(
        ID, "shop", "login", PHONE, verified_at, ("sms",)
    )


def test_members_of_a_newer_service_are_passed_over(service: Scripted, client: OtpClient) -> None:
    service.will(says(201, STANDING | {"new": 1}), says(200, APPROVED | {"new": {}}))

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
def test_an_answer_that_cannot_be_read_leaves_the_outcome_unknown(
    service: Scripted, client: OtpClient, body: object
) -> None:
    service.will(says(200, body))
    with pytest.raises(OutcomeUnknown):
        client.redeem(PROOF, purpose="login")

    assert len(service.calls) == 1


def test_answers_do_not_print_phone_or_proof(service: Scripted, client: OtpClient) -> None:
    service.will(ANSWERS["/otp/verify"], ANSWERS["/otp/redeem"])
    printed = f"{client.verify(PHONE, ID, '012345')!r} {client.redeem(PROOF, purpose='login')!r}"

    assert "00138000" not in printed
    assert PROOF not in printed


def test_connections_are_kept_and_cookies_are_not(service: Scripted, client: OtpClient) -> None:
    service.will(says(204, Set_Cookie="a=b"), says(204))
    client.cancel(PHONE, ID)
    client.cancel(PHONE, ID)

    assert [call.headers.get("Cookie") for call in service.calls] == [None, None]


def test_a_call_under_an_idempotency_key_is_repeated_when_its_answer_is_lost(
    service: Scripted, client: OtpClient
) -> None:
    service.will(resets, ANSWERS["/otp/verify"])

    client.verify(PHONE, ID, "012345", idempotency_key="order-17")

    assert [call.headers["Idempotency-Key"] for call in service.calls] == ["order-17", "order-17"]


def test_a_call_without_one_is_not(service: Scripted, client: OtpClient) -> None:
    service.will(resets)
    with pytest.raises(OutcomeUnknown):
        client.verify(PHONE, ID, "012345")

    assert len(service.calls) == 1
    assert "Idempotency-Key" not in service.calls[0].headers


def test_a_status_tells_why_an_sms_did_not_arrive(service: Scripted, client: OtpClient) -> None:
    reason = {"code": "MOBILE_NOT_ON_SERVICE", "en": "The number is switched off.", "zh": "停机"}
    told = {"number": 1, "delivery": "undelivered", "at": "2026-11-23T08:07:41Z", "route": "main"}
    service.will(says(200, {**STANDING, "sends": [{**told, "reason": reason}]}))

    (send,) = client.status(PHONE, ID).sends

    assert send.reason == Reason(**reason)


def test_a_request_carries_what_is_known_of_the_person_and_the_solution_of_a_challenge(
    service: Scripted, client: OtpClient
) -> None:
    service.will(ANSWERS["/otp/request"])
    client.request(PHONE, risk_solution="solved", known_phone=True, known_device=True, accepts_challenge=True)

    (call,) = service.calls
    assert call.json["risk_solution"] == "solved"
    assert [call.json[name] for name in ("known_phone", "known_device", "accepts_challenge")] == [True] * 3
