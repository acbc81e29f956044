"""Problem documents: each error has one status and code, its fields and headers; a 500 reveals nothing."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator

import pytest
from support import fakes
from web.web_app import PHONE, UNKNOWN_ID, WebApp, open_web_app, pointers, problem
from werkzeug.exceptions import (
    BadRequest,
    Conflict,
    Gone,
    HTTPException,
    RequestEntityTooLarge,
    RequestHeaderFieldsTooLarge,
    RequestTimeout,
    RequestURITooLarge,
    ServiceUnavailable,
    UnsupportedMediaType,
)

from otp_service.domain import errors
from otp_service.domain.errors import OtpError
from otp_service.observability.logging import JsonEventLogger
from otp_service.store.health import UnsuitableRedis
from otp_service.web.api import problems, request_id

TABLE: list[tuple[OtpError, int, str, dict[str, object]]] = [
    (
        errors.InvalidRequest([{"pointer": "/x", "detail": "is odd"}]),
        400,
        "invalid_request",
        {"errors": [{"pointer": "/x", "detail": "is odd"}]},
    ),
    (errors.Unauthorized(), 401, "unauthorized", {}),
    (errors.Forbidden(), 403, "forbidden", {}),
    (errors.DestinationBlocked(), 403, "destination_blocked", {}),
    (errors.NotFound(), 404, "not_found", {}),
    (errors.MethodNotAllowed(), 405, "method_not_allowed", {}),
    (errors.VerificationNotFound(), 404, "verification_not_found", {}),
    (errors.AlreadyVerified(), 409, "already_verified", {}),
    (errors.VerificationExpired(), 410, "verification_expired", {}),
    (errors.VerificationCanceled(), 410, "verification_canceled", {}),
    (errors.PayloadTooLarge(), 413, "payload_too_large", {}),
    (errors.UnsupportedMediaType(), 415, "unsupported_media_type", {}),
    (errors.InvalidPhone(), 422, "invalid_phone", {}),
    (errors.InvalidCode(), 422, "invalid_code", {}),
    (
        errors.ChallengeRequired({"algorithm": "SHA-256"}),
        403,
        "challenge_required",
        {"challenge": {"algorithm": "SHA-256"}},
    ),
    (errors.IdempotencyInProgress(7), 409, "idempotency_in_progress", {"retry_after": 7}),
    (errors.IdempotencyKeyReused(), 422, "idempotency_key_reused", {}),
    (errors.WrongCode(3), 422, "wrong_code", {"attempts_left": 3}),
    (errors.InvalidProof(), 422, "invalid_proof", {}),
    (errors.ProofExpired(), 410, "proof_expired", {}),
    (errors.ProofRedeemed(), 409, "proof_redeemed", {}),
    (errors.DestinationRejected(), 422, "destination_rejected", {}),
    (errors.AttemptsExhausted(), 429, "attempts_exhausted", {}),
    (errors.CooldownActive(42, "cooldown"), 429, "cooldown_active", {"retry_after": 42, "limit": "cooldown"}),
    (
        errors.LimitReached(3600, "sends_per_hour"),
        429,
        "limit_reached",
        {"retry_after": 3600, "limit": "sends_per_hour"},
    ),
    (errors.ProviderRateLimited(86400), 429, "provider_rate_limited", {"retry_after": 86400}),
    (errors.ProviderMisconfigured(), 502, "provider_misconfigured", {}),
    (errors.ProviderUnavailable(3), 503, "provider_unavailable", {"retry_after": 3}),
    (errors.StoreUnavailable(2), 503, "store_unavailable", {"retry_after": 2}),
    (errors.InternalError(), 500, "internal_error", {}),
]
IDS = [code for _, _, code, _ in TABLE]


def leaves(kind: type[OtpError]) -> Iterator[type[OtpError]]:
    if "code" in vars(kind) or kind is errors.InternalError:
        yield kind
    for below in kind.__subclasses__():
        yield from leaves(below)


def test_every_error_has_its_row() -> None:
    known = set(leaves(OtpError)) - {OtpError}

    assert {type(error) for error, *_ in TABLE} == known
    assert set(problems.STATUSES) == known


@pytest.mark.parametrize(("error", "status", "code", "members"), TABLE, ids=IDS)
def test_error_is_converted_to_its_problem(
    web_app: WebApp, error: OtpError, status: int, code: str, members: dict[str, object]
) -> None:
    web_app.harness.store.failure = error

    answer = web_app.post("/otp/status", {"phone": PHONE, "verification_id": UNKNOWN_ID})

    document = problem(answer)
    assert answer.status_code == status
    assert document["code"] == code
    assert {name: document[name] for name in document.keys() - _ALWAYS} == members


_ALWAYS = {"type", "title", "status", "code", "request_id"}


@pytest.mark.parametrize(("error", "status", "code", "members"), TABLE, ids=IDS)
def test_retry_after_header_matches_the_body(
    web_app: WebApp, error: OtpError, status: int, code: str, members: dict[str, object]
) -> None:
    web_app.harness.store.failure = error

    answer = web_app.post("/otp/status", {"phone": PHONE, "verification_id": UNKNOWN_ID})

    expected = members.get("retry_after")
    assert answer.headers.get("Retry-After") == (None if expected is None else str(expected))
    if status in (429, 503) and code != "attempts_exhausted":
        assert expected is not None


def test_only_a_missing_key_gets_www_authenticate(web_app: WebApp) -> None:
    asked = []
    for error, *_ in TABLE:
        web_app.harness.store.failure = error
        answer = web_app.post("/otp/status", {"phone": PHONE, "verification_id": UNKNOWN_ID})
        asked += [type(error)] if "WWW-Authenticate" in answer.headers else []

    assert asked == [errors.Unauthorized]


# ── defects ──


@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("boom-SECRET"),
        ValueError("boom-SECRET +8613800138000"),
        KeyError("boom-SECRET"),
        RecursionError("boom-SECRET"),
        MemoryError("boom-SECRET"),
        OSError(28, "boom-SECRET"),
        UnicodeEncodeError("utf-8", "boom-SECRET", 0, 1, "boom-SECRET"),
        ExceptionGroup("boom-SECRET", [ValueError("boom-SECRET")]),
        type("boom", (Exception,), {"__str__": lambda self: 1 / 0})(),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_defect_reveals_its_place_only_to_the_log(web_app: WebApp, failure: Exception) -> None:
    web_app.harness.store.failure = failure

    answer = web_app.post("/otp/status", {"phone": PHONE, "verification_id": UNKNOWN_ID})

    document = problem(answer)
    assert answer.status_code == 500
    assert document.keys() == _ALWAYS
    assert "boom" not in answer.text
    [defect] = web_app.harness.events.of("unhandled_exception")
    assert defect["error"] == type(failure).__name__
    assert re.fullmatch(r"otp_service/services/verification\.py:\d+", str(defect["origin"]))
    assert "SECRET" not in repr(web_app.harness.events.emitted)
    assert "138" not in repr(defect)


def test_log_lines_of_a_defect_have_the_request_id_of_the_answer(
    web_app: WebApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = io.BytesIO()
    logger = JsonEventLogger(output, clock=web_app.harness.clock.now, request_id=request_id.current)
    monkeypatch.setattr(web_app.harness.events, "emit", logger.emit)
    web_app.harness.store.failure = RuntimeError()

    document = problem(web_app.post("/otp/status", {"phone": PHONE, "verification_id": UNKNOWN_ID}))

    logged = [json.loads(line) for line in output.getvalue().splitlines()]
    assert [line["event"] for line in logged] == ["unhandled_exception", "http_request"]
    assert {line["request_id"] for line in logged} == {document["request_id"]}


def test_an_internal_error_of_ours_is_a_defect_too(web_app: WebApp) -> None:
    web_app.harness.store.failure = errors.InternalError()

    web_app.post("/otp/status", {"phone": PHONE, "verification_id": UNKNOWN_ID})

    assert web_app.harness.events.of("unhandled_exception")[0]["error"] == "InternalError"


def test_defect_outside_of_our_code_has_no_place() -> None:
    assert problems.origin(ValueError("never raised")) == ""


def test_a_defect_does_not_show_in_the_application_log(
    web_app: WebApp, caplog: pytest.LogCaptureFixture
) -> None:
    web_app.harness.store.failure = RuntimeError("boom-SECRET")

    web_app.post("/otp/status", {"phone": PHONE, "verification_id": UNKNOWN_ID})

    assert "SECRET" not in caplog.text


def test_an_error_of_the_framework_without_a_status_is_a_defect(web_app: WebApp) -> None:
    web_app.harness.store.failure = HTTPException("boom-SECRET")

    answer = web_app.post("/otp/status", {"phone": PHONE, "verification_id": UNKNOWN_ID})

    assert problem(answer)["code"] == "internal_error"


# ── the framework's errors ──

FRAMEWORK = [
    (BadRequest("boom-SECRET"), 400, "invalid_request"),
    (RequestTimeout("boom-SECRET"), 400, "invalid_request"),
    (RequestURITooLarge("boom-SECRET"), 400, "invalid_request"),
    (RequestHeaderFieldsTooLarge("boom-SECRET"), 400, "invalid_request"),
    (Conflict("boom-SECRET"), 400, "invalid_request"),
    (Gone("boom-SECRET"), 400, "invalid_request"),
    (RequestEntityTooLarge("boom-SECRET"), 413, "payload_too_large"),
    (UnsupportedMediaType("boom-SECRET"), 415, "unsupported_media_type"),
    (ServiceUnavailable("boom-SECRET"), 500, "internal_error"),
]


@pytest.mark.parametrize(
    ("failure", "status", "code"), FRAMEWORK, ids=[type(failure).__name__ for failure, *_ in FRAMEWORK]
)
def test_an_error_of_the_framework_becomes_a_problem_in_a_view(
    web_app: WebApp, failure: HTTPException, status: int, code: str
) -> None:
    web_app.harness.store.failure = failure

    answer = web_app.post("/otp/status", {"phone": PHONE, "verification_id": UNKNOWN_ID})

    assert answer.status_code == status
    assert problem(answer)["code"] == code
    assert "SECRET" not in answer.text


@pytest.mark.parametrize(
    ("failure", "status", "code"), FRAMEWORK, ids=[type(failure).__name__ for failure, *_ in FRAMEWORK]
)
def test_an_error_of_the_framework_becomes_a_problem_outside_of_views(
    failure: HTTPException, status: int, code: str
) -> None:
    web_app = open_web_app()

    @web_app.client.application.before_request
    def fail() -> None:
        raise failure

    answer = web_app.get("/healthz")

    assert answer.status_code == status
    assert problem(answer)["code"] == code


def test_a_defect_outside_of_views_is_recorded_too(caplog: pytest.LogCaptureFixture) -> None:
    web_app = open_web_app()

    @web_app.client.application.before_request
    def fail() -> None:
        raise RuntimeError("boom-SECRET")

    answer = web_app.get("/healthz")

    assert problem(answer)["code"] == "internal_error"
    assert web_app.harness.events.of("unhandled_exception")[0]["error"] == "RuntimeError"
    assert "SECRET" not in answer.text + caplog.text


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/otp",
        "/otp/",
        "/otp/verify/",
        "//otp/verify",
        "/otp//verify",
        "/OTP/verify",
        "/otp/verify%00",
        "/otp/verify%0a",
        "/%ff%fe",
        "/otp/../otp/verify",
        "/otp/lock",
        "/static/x",
        "/favicon.ico",
    ],
)
def test_an_unknown_address_is_a_problem(web_app: WebApp, path: str) -> None:
    answer = web_app.send(path, b"{}")

    assert answer.status_code == 404
    assert problem(answer)["code"] == "not_found"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_a_wrong_method_is_a_problem_that_names_the_right_one(web_app: WebApp, method: str) -> None:
    answer = web_app.client.open("/otp/redeem", method=method)

    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    if method != "HEAD":
        assert problem(answer)["code"] == "method_not_allowed"


def test_page_accepts_no_post(web_app: WebApp) -> None:
    answer = web_app.client.post("/healthz")

    assert problem(answer)["code"] == "method_not_allowed"
    assert answer.headers["Allow"] == "GET, HEAD"


def test_redirect_of_the_application_is_not_changed() -> None:
    web_app = open_web_app()
    web_app.client.application.add_url_rule("/extra/", "extra", lambda: "extra")

    answer = web_app.get("/extra")

    assert answer.status_code == 308


def test_caller_gets_the_reason_for_an_invalid_field(web_app: WebApp) -> None:
    answer = web_app.post(
        "/otp/verify", {"phone": 1, "verification_id": "x" * 65, "client_ip": "", "more": 1}
    )

    assert pointers(answer) == ["/phone", "/verification_id", "/code", "/client_ip", "/more"]
    assert [error["detail"] for error in problem(answer)["errors"]] == [
        "must be text",
        "is too long",
        "is required",
        "must not be empty",
        "is not a known field",
    ]


def test_key_of_another_client_gets_the_same_answer_as_an_unknown_key(web_app: WebApp) -> None:
    verification_id = web_app.open_verification()
    guesses = [{"phone": PHONE, "verification_id": named} for named in (verification_id, UNKNOWN_ID)]

    documents = [problem(web_app.post("/otp/status", guess, key=fakes.BANK_KEY)) for guess in guesses]

    for document in documents:
        document.pop("request_id")
    assert documents[0] == documents[1]


def test_error_of_another_package_has_the_status_of_its_base_class() -> None:
    """An evicting Redis, for example, makes the service unready, and is not a 500."""
    assert problems.status_of(UnsuitableRedis("Redis evicts keys.")) == 503
