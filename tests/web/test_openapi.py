"""The OpenAPI document is well-formed and complete, and all answers match it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support import fakes
from web.schemas import Checker
from web.test_problems import TABLE
from web.web_app import PHONE, UNKNOWN_ID, WebApp, open_web_app
from werkzeug.test import TestResponse

from otp_service.domain.errors import OtpError
from otp_service.domain.messages import SendResult, SendStatus
from otp_service.store.schema import StoreSchemaNewer
from otp_service.web.api import openapi
from otp_service.web.api.problems import STATUSES
from otp_service.web.api.routes import ENDPOINTS, Endpoint
from otp_service.web.pages import FILES

DOCUMENT = openapi.document()
CHECKER = Checker(DOCUMENT)
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
CALLED = {call.path: DOCUMENT["paths"][call.path]["post"] for call in ENDPOINTS}


def inside(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object inside *value*, and *value* itself."""
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from inside(child)


SOMETIMES = {"Retry-After", "Idempotency-Replayed", "RateLimit", "RateLimit-Policy"}
FOR_PEOPLE = {"/otp/pages/<page_id>", *FILES}
"""What only a browser asks for."""


def check(operation: dict[str, Any], answer: TestResponse) -> None:
    """Validate *answer* against the schema of its status in *operation*."""
    described = operation["responses"][str(answer.status_code)]
    assert set(described["headers"]) <= {name for name, _ in answer.headers} | SOMETIMES
    if "content" not in described:
        assert answer.data == b""
        return
    schema = described["content"][answer.content_type]["schema"]
    assert CHECKER.errors(schema, answer.get_json()) == []


# ── well formed ──


def test_document_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert DOCUMENT.keys() == {"openapi", "info", "servers", "paths", "components"}
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    assert all(path.startswith("/") for path in DOCUMENT["paths"])


def test_every_reference_can_be_resolved() -> None:
    references = [found["$ref"] for found in inside(DOCUMENT) if isinstance(found.get("$ref"), str)]

    assert len(references) > 100
    assert all(CHECKER.resolve(reference) for reference in references)


def test_every_component_is_used() -> None:
    used = json.dumps(DOCUMENT)
    components = DOCUMENT["components"]

    for kind in ("schemas", "headers", "parameters"):
        for name in components[kind]:
            assert f'"#/components/{kind}/{name}"' in used, name


def test_every_operation_is_complete() -> None:
    ids = [operation["operationId"] for operation in OPERATIONS.values()]

    assert len(set(ids)) == len(ids)
    for operation in OPERATIONS.values():
        assert operation["summary"]
        assert operation["responses"]
        assert all(response["description"] for response in operation["responses"].values())
        for requirement in operation["security"]:
            assert requirement.keys() <= DOCUMENT["components"]["securitySchemes"].keys()


def test_request_objects_allow_no_unknown_fields() -> None:
    for call in ENDPOINTS:
        models = [call.body, *(model for model in call.responses.values() if model)]
        for model in models:
            assert DOCUMENT["components"]["schemas"][model.__name__]["additionalProperties"] is False


def test_every_example_matches_its_schema() -> None:
    checked = 0
    for found in inside(DOCUMENT["paths"]):
        if "example" in found:
            assert CHECKER.errors(found["schema"], found["example"]) == []
            checked += 1
        for example in found.get("examples", {}).values() if isinstance(found.get("examples"), dict) else ():
            assert CHECKER.errors(found["schema"], example["value"]) == []
            checked += 1

    assert checked > 60


def test_checker_finds_errors() -> None:
    schema = {"$ref": "#/components/schemas/VerifyRequest"}
    good = {"phone": PHONE, "verification_id": UNKNOWN_ID, "code": "123456"}

    assert CHECKER.errors(schema, good) == []
    for wrong in ({"code": 1}, {"surplus": 1}, {"phone": "1" * 65}, {"code": "\v"}, {"client_ip": ""}):
        assert CHECKER.errors(schema, {**good, **wrong})


# ── complete ──


def test_document_has_every_route() -> None:
    rules = {rule.rule for rule in open_web_app().client.application.url_map.iter_rules()}

    assert set(DOCUMENT["paths"]) == rules - FOR_PEOPLE


def test_document_has_every_error_with_its_status() -> None:
    described = {
        (schema["properties"]["code"]["const"], schema["properties"]["status"]["const"])
        for schema in DOCUMENT["components"]["schemas"].values()
        if "allOf" in schema
    }

    assert described == {(error.code, status) for error, status in STATUSES.items()}
    assert described == {(code, status) for _, status, code, _ in TABLE}


def test_retry_header_is_described_exactly_where_it_can_occur() -> None:
    for operation in OPERATIONS.values():
        for response in operation["responses"].values():
            delays = '"retry_after"' in json.dumps(response.get("content", {}))
            assert ("Retry-After" in response.get("headers", {})) is delays


def test_errors_of_each_call_are_pinned() -> None:
    everywhere = {
        *("invalid_request", "unauthorized", "forbidden", "payload_too_large", "unsupported_media_type"),
        *("internal_error", "store_unavailable"),
    }
    own = {
        call.name: " ".join(sorted({error.code for error in call.all_problems()} - everywhere))
        for call in ENDPOINTS
    }

    assert own == {
        "request": "already_verified attempts_exhausted challenge_required cooldown_active "
        "destination_blocked destination_rejected idempotency_in_progress idempotency_key_reused "
        "invalid_phone limit_reached provider_misconfigured provider_rate_limited "
        "provider_unavailable verification_canceled verification_expired verification_not_found",
        "verify": "already_verified attempts_exhausted destination_blocked idempotency_in_progress "
        "idempotency_key_reused invalid_code invalid_phone limit_reached verification_canceled "
        "verification_expired verification_not_found wrong_code",
        "redeem": "idempotency_in_progress idempotency_key_reused invalid_proof proof_expired proof_redeemed",
        "status": "destination_blocked invalid_phone verification_not_found",
        "cancel": "already_verified attempts_exhausted destination_blocked invalid_phone "
        "verification_expired verification_not_found",
        "unlock": "destination_blocked invalid_phone",
        "make_page": "limit_reached",
    }


# ── answers match it ──


def every_answer(web_app: WebApp) -> Iterator[tuple[str, TestResponse]]:
    """Yield every kind of success and many errors, with their paths."""
    named = {"phone": PHONE, "verification_id": web_app.open_verification()}
    code = web_app.harness.sender.last_code
    yield "/otp/request", web_app.answers[-1]
    yield "/otp/request", web_app.request()
    yield "/otp/status", web_app.post("/otp/status", named)
    yield "/otp/verify", web_app.post("/otp/verify", {**named, "code": "odd"})
    yield "/otp/verify", web_app.post("/otp/verify", {**named, "code": "000000"})
    yield "/otp/verify", web_app.post("/otp/verify", {"code": 1})
    approved = web_app.post("/otp/verify", {**named, "code": code})
    yield "/otp/verify", approved
    proof = {"proof": approved.get_json()["proof"], "purpose": "login"}
    yield "/otp/redeem", web_app.post("/otp/redeem", proof)
    yield "/otp/redeem", web_app.post("/otp/redeem", proof)
    yield "/otp/cancel", web_app.post("/otp/cancel", named)
    yield "/otp/status", web_app.post("/otp/status", named)
    web_app.harness.clock.advance(60)
    web_app.harness.sender.outcome = SendResult(SendStatus.UNKNOWN)
    doubted = web_app.request()
    yield "/otp/request", doubted
    open_one = {"phone": PHONE, "verification_id": doubted.get_json()["verification_id"]}
    web_app.harness.clock.advance(60)
    yield "/otp/request", web_app.resend(open_one["verification_id"])
    yield "/otp/cancel", web_app.post("/otp/cancel", open_one)
    yield "/otp/cancel", web_app.post("/otp/cancel", open_one, key=fakes.BANK_KEY)
    yield "/otp/cancel", web_app.post("/otp/cancel", open_one, key=None)
    yield "/otp/unlock", web_app.post("/otp/unlock", {"phone": PHONE})
    yield "/otp/unlock", web_app.post("/otp/unlock", {"phone": "1"})
    yield "/otp/unlock", web_app.post("/otp/unlock", {"phone": PHONE}, key=fakes.BANK_KEY)
    page = {"purpose": "login", "return_url": fakes.RETURN_URL, "state": "s"}
    yield "/otp/pages", web_app.post("/otp/pages", page)
    yield "/otp/pages", web_app.post("/otp/pages", {**page, "return_url": "https://evil.example"})


def test_every_answer_matches_the_document(web_app: WebApp) -> None:
    statuses = []
    for path, answer in every_answer(web_app):
        check(CALLED[path], answer)
        statuses.append((path, answer.status_code))

    successes = {(path, status) for path, status in statuses if status < 300}
    assert successes == {(call.path, status) for call in ENDPOINTS for status in call.responses}


@pytest.mark.parametrize("call", ENDPOINTS, ids=lambda call: call.name)
def test_every_error_of_a_call_matches_the_document(call: Endpoint) -> None:
    for error, *_ in TABLE:
        if type(error) in call.all_problems():
            check(CALLED[call.path], answer_with(error, call))


def answer_with(error: OtpError, call: Endpoint) -> TestResponse:
    """Return the answer of *call* when the service raises *error*."""
    web_app = open_web_app()
    proof = web_app.proof()
    web_app.harness.store.failure = error
    named = {"phone": PHONE, "verification_id": UNKNOWN_ID}
    bodies: dict[str, dict[str, str]] = {
        "request": {"phone": PHONE, "purpose": "login"},
        "verify": {**named, "code": "123456"},
        "redeem": {"proof": proof, "purpose": "login"},
        "make_page": {"return_url": fakes.RETURN_URL, "purpose": "login"},
    }
    web_app.harness.page_store.failure = error
    return web_app.post(call.path, bodies.get(call.name, named))


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_answers_of_pages_match_the_document(web_app: WebApp, path: str) -> None:
    check(DOCUMENT["paths"][path]["get"], web_app.get(path))


def test_readiness_errors_match_the_document(web_app: WebApp) -> None:
    described = DOCUMENT["paths"]["/readyz"]["get"]
    web_app.harness.store.failure = StoreSchemaNewer()
    answer = web_app.get("/readyz")
    check(described, answer)

    schema = described["responses"]["503"]["content"][answer.content_type]["schema"]
    assert schema["properties"]["reason"]["enum"] == [answer.get_json()["reason"]]
    assert CHECKER.errors(schema, {**answer.get_json(), "reason": "another"})


def test_document_is_served_unchanged(web_app: WebApp) -> None:
    answer = web_app.get("/openapi.json")

    assert answer.content_type == "application/json"
    assert answer.get_json() == DOCUMENT
    assert json.loads(openapi.text("/auth")) == {**DOCUMENT, "servers": [{"url": "/auth"}]}
