"""clients/js: requests and responses are the same as those of the Python client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from client.test_calls import APPROVED, PENDING, PROOF, REDEEMED, RESPONSES
from support import scripted_service
from support.nodejs import ROOT, make_call, make_calls, node
from support.scripted_service import ScriptedService, resets, says

from otp_service_client import calls

PHONE, ID = "+8613800138000", "v" * 22
SENT = {
    "verificationId": ID,
    "status": "pending",
    "purpose": "login",
    "phoneMasked": "+86 138****8000",
    "codeLength": 6,
    "codeType": "digits",
    "expiresAt": "2026-11-23T08:12:41.000Z",
    "expiresIn": 300,
    "resendAt": "2026-11-23T08:08:41.250Z",
    "resendIn": 60,
    "sendsLeft": 3,
    "attemptsLeft": 5,
    "delivery": "accepted",
}
ALL_SAID = {
    "locale": "en",
    "clientIp": "192.0.2.1",
    "riskSolution": "solved",
    "knownPhone": True,
    "knownDevice": True,
    "acceptsChallenge": True,
}
AS_SENT = {
    "locale": "en",
    "client_ip": "192.0.2.1",
    "risk_solution": "solved",
    "known_phone": True,
    "known_device": True,
    "accepts_challenge": True,
}

CALLS: dict[str, tuple[list[Any], str, dict[str, object]]] = {
    "request": (["request", PHONE], "/otp/request", {"phone": PHONE}),
    "request, all said": (
        ["request", PHONE, {"purpose": "login", **ALL_SAID}],
        "/otp/request",
        {"phone": PHONE, "purpose": "login", **AS_SENT},
    ),
    "request, an empty address": (
        ["request", PHONE, {"clientIp": ""}],  # an error that the service must report
        "/otp/request",
        {"phone": PHONE, "client_ip": ""},
    ),
    "resend": (["resend", PHONE, ID], "/otp/request", {"phone": PHONE, "verification_id": ID}),
    "resend, all said": (
        ["resend", PHONE, ID, ALL_SAID],
        "/otp/request",
        {"phone": PHONE, "verification_id": ID, **AS_SENT},
    ),
    "verify": (
        ["verify", PHONE, ID, "012345"],
        "/otp/verify",
        {"phone": PHONE, "verification_id": ID, "code": "012345"},
    ),
    "verify, all said": (
        ["verify", PHONE, ID, "012345", {"clientIp": "192.0.2.1"}],
        "/otp/verify",
        {"phone": PHONE, "verification_id": ID, "code": "012345", "client_ip": "192.0.2.1"},
    ),
    "redeem": (
        ["redeem", PROOF, {"purpose": "login"}],
        "/otp/redeem",
        {"proof": PROOF, "purpose": "login"},
    ),
    "redeem, all said": (
        ["redeem", PROOF, {"purpose": "login", "allowTest": True}],
        "/otp/redeem",
        {"proof": PROOF, "purpose": "login", "allow_test": True},
    ),
    "status": (["status", PHONE, ID], "/otp/status", {"phone": PHONE, "verification_id": ID}),
    "cancel": (["cancel", PHONE, ID], "/otp/cancel", {"phone": PHONE, "verification_id": ID}),
    "unlock": (["unlock", PHONE], "/otp/unlock", {"phone": PHONE}),
}


@pytest.fixture
def service() -> Iterator[ScriptedService]:
    with scripted_service.serving() as service:
        yield service


@pytest.mark.parametrize(("call", "path", "body"), CALLS.values(), ids=CALLS.keys())
def test_call_sends_only_the_given_fields(
    service: ScriptedService, call: list[Any], path: str, body: dict[str, object]
) -> None:
    service.will(RESPONSES[path])
    result = make_call(service.url, *call)

    assert "error" not in result
    [seen] = service.calls
    assert (seen.path, seen.json) == (path, body)
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["Authorization"] == "Bearer sk_never_shown_anywhere"
    assert "Idempotency-Key" not in seen.headers


def test_client_sends_its_version(service: ScriptedService) -> None:
    service.will(says(204))
    make_call(service.url, "cancel", PHONE, ID)
    version = json.loads((ROOT / "clients" / "js" / "package.json").read_text())["version"]

    assert service.calls[0].headers["User-Agent"] == f"otp_service-client-js/{version}"


def test_answers_are_returned_completely(service: ScriptedService) -> None:
    reason = {"code": "MOBILE_NOT_ON_SERVICE", "en": "The number is switched off.", "zh": "停机"}
    send = {"number": 1, "delivery": "undelivered", "at": "2026-11-23T08:07:41Z", "route": "main"}
    service.will(
        says(201, PENDING | {"new": 1}),
        says(202, PENDING | {"delivery": "unknown", "resend_at": None, "resend_in": None}),
        RESPONSES["/otp/verify"],
        RESPONSES["/otp/redeem"],
        says(200, {**PENDING, "sends": [send, {**send, "reason": reason}]}),
        says(204),
    )
    made = make_calls(
        service.url,
        ["request", PHONE],
        ["resend", PHONE, ID],
        ["verify", PHONE, ID, "012345"],
        ["redeem", PROOF, {"purpose": "login"}],
        ["status", PHONE, ID],
        ["cancel", PHONE, ID],
    )
    sent, again, approved, redeemed, status, canceled = (result.get("value") for result in made["results"])

    assert sent == SENT
    assert again == SENT | {"delivery": "unknown", "resendAt": None, "resendIn": None}
    assert approved == {
        "verificationId": ID,
        "purpose": "login",
        "phone": PHONE,
        "proof": PROOF,
        "proofExpiresIn": 180,
    }
    assert redeemed == {
        "verificationId": ID,
        "client": "shop",
        "purpose": "login",
        "phone": PHONE,
        "verifiedAt": "2026-11-23T08:07:59.000Z",
        "amr": ["sms"],
    }
    at = {"at": "2026-11-23T08:07:41.000Z"}
    assert status == SENT | {"sends": [{**send, **at, "reason": None}, {**send, **at, "reason": reason}]}
    assert canceled is None


def test_neither_answers_nor_the_client_show_a_secret(service: ScriptedService) -> None:
    service.will(RESPONSES["/otp/verify"], RESPONSES["/otp/redeem"])
    made = make_calls(service.url, ["verify", PHONE, ID, "012345"], ["redeem", PROOF, {"purpose": "login"}])
    shown = "".join([made["client"], *(result["shown"] for result in made["results"])])

    assert "verificationId" in shown
    for secret in ("00138000", PROOF, "sk_never"):
        assert secret not in shown


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"null",
        b"",
        {},
        APPROVED | {"amr": 1, "verified_at": "yesterday"},
        REDEEMED | {"verified_at": None},
        {name: value for name, value in REDEEMED.items() if name != "phone"},
    ],
)
def test_unreadable_answer_is_an_unknown_outcome(service: ScriptedService, body: object) -> None:
    service.will(says(200, body))
    result = make_call(service.url, "redeem", PROOF, {"purpose": "login"})

    assert result["error"]["name"] == "OutcomeUnknown"
    assert "00138000" not in result["shown"]
    assert len(service.calls) == 1


@pytest.mark.parametrize(("status", "error"), [(200, "OutcomeUnknown"), (404, "UnexpectedAnswer")])
def test_long_answer_is_not_read_to_its_end(service: ScriptedService, status: int, error: str) -> None:
    long = {**REDEEMED, "new": "x" * 2 * calls.MAX_RESPONSE_BYTES}
    service.will(says(status, long), says(204))
    redeem = ["redeem", PROOF, {"purpose": "login"}]
    results = make_calls(service.url, redeem, ["cancel", PHONE, ID])["results"]

    assert results[0]["error"]["name"] == error
    assert "error" not in results[1]
    assert service.calls[0].peer != service.calls[1].peer


@pytest.mark.parametrize("key", ["", "a\nb", " a", "a ", "订单", "k" * 256, 17, None])
def test_invalid_idempotency_key_is_rejected_before_anything_is_sent(
    service: ScriptedService, key: Any
) -> None:
    result = make_call(service.url, "redeem", PROOF, {"purpose": "login", "idempotencyKey": key})

    assert result["error"]["name"] == "TypeError"
    assert result["error"]["message"] == "idempotencyKey must be 1 to 255 printable ASCII characters"
    assert service.calls == []


def test_call_with_an_idempotency_key_is_repeated_if_its_answer_is_lost(service: ScriptedService) -> None:
    service.will(resets, RESPONSES["/otp/verify"])
    make_call(service.url, "verify", PHONE, ID, "012345", {"idempotencyKey": "order-17"})

    assert [call.headers["Idempotency-Key"] for call in service.calls] == ["order-17", "order-17"]


@pytest.mark.parametrize(
    "call",
    [
        ["request", PHONE, {"client_ip": "192.0.2.1"}],  # the limit would silently not apply
        ["verify", PHONE, ID, "012345", {"purpose": "login"}],
        ["resend", PHONE, None],  # it would be a new request, and another code
    ],
    ids=["misspelt", "of another call", "no id"],
)
def test_invalid_arguments_send_nothing(service: ScriptedService, call: list[Any]) -> None:
    result = make_call(service.url, *call)

    assert result["error"]["name"] == "TypeError"
    assert service.calls == []


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("otp.example.com", "sk_x"),
        ("ftp://otp.example.com", "sk_x"),
        ("https://user:word@otp.example.com", "sk_x"),
        ("https://otp.example.com?x=1", "sk_x"),
        ("https://otp.example.com:99999", "sk_x"),
        ("https://otp.example.com:0", "sk_x"),
        ("http://::1:8080", "sk_x"),
        ("http://[::g]:8080", "sk_x"),
        (f"http://{'a' * 64}.example.com", "sk_x"),
        ("https://otp..example.com", "sk_x"),
        ("https://.example.com", "sk_x"),
        ("https://otp.example.com\\otp", "sk_x"),
        ("https://otp.example.com\\.example.net", "sk_x"),
        ("https://otp.example.com", "sk x"),
        ("https://otp.example.com", "sk_x\r\nX: y"),
        ("https://otp.example.com", ""),
    ],
)
def test_invalid_client_options_are_rejected(url: str, key: str) -> None:
    with pytest.raises(AssertionError, match="TypeError") as failure:
        make_calls(url, key=key)

    assert not key or key not in str(failure.value)


@pytest.mark.parametrize(
    "url", ["https://otp.example.com.", "http://[::1]:8080", "http://192.0.2.1:65535/otp"]
)
def test_valid_urls_are_accepted(url: str) -> None:
    assert make_calls(url, key="sk_x")["results"] == []


def test_client_has_no_dependencies() -> None:
    """It has no dependencies, and uses only what Node.js 18 has."""
    manifest = json.loads((ROOT / "clients" / "js" / "package.json").read_text())
    sources = "".join(path.read_text() for path in (ROOT / "clients" / "js").rglob("*.js"))

    assert "dependencies" not in manifest
    assert manifest["engines"] == {"node": ">=18"}
    assert {line.split('"')[1] for line in sources.splitlines() if line.startswith("import ")} <= {
        "node:crypto",
        "node:http",
        "node:https",
        "node:timers/promises",
        "./answers.js",
        "./checks.js",
        "./errors.js",
        "./problems.js",
        "./transport.js",
    }
    assert node()
