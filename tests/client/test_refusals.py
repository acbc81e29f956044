"""Every problem document becomes the exception of its code."""

from __future__ import annotations

import re

import pytest
from support.scripted_service import ScriptedService, problem, says

import otp_service_client as client_package
from otp_service.domain import errors as service_errors
from otp_service_client import (
    ApiError,
    OtpClient,
    OtpServiceError,
    OutcomeUnknown,
    UnexpectedAnswer,
    errors,
    proof_reader,
)

PHONE, ID = "+8613800138000", "v" * 22
STATUS = {
    "invalid_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "invalid_phone": 422,
    "destination_blocked": 403,
    "invalid_code": 422,
    "challenge_required": 403,
    "idempotency_in_progress": 409,
    "idempotency_key_reused": 422,
    "verification_not_found": 404,
    "already_verified": 409,
    "verification_expired": 410,
    "verification_canceled": 410,
    "wrong_code": 422,
    "attempts_exhausted": 429,
    "invalid_proof": 422,
    "proof_expired": 410,
    "proof_redeemed": 409,
    "cooldown_active": 429,
    "limit_reached": 429,
    "destination_rejected": 422,
    "provider_rate_limited": 429,
    "provider_misconfigured": 502,
    "provider_unavailable": 503,
    "store_unavailable": 503,
    "internal_error": 500,
}
ERRORS = [{"pointer": "/phone", "detail": "is required"}]
FACTS: dict[str, dict[str, object]] = {
    "challenge_required": {"challenge": {"algorithm": "SHA-256"}},
    "idempotency_in_progress": {"retry_after": 7},
    "invalid_request": {"errors": ERRORS},
    "wrong_code": {"attempts_left": 4},
    "cooldown_active": {"retry_after": 60, "limit": "cooldown"},
    "limit_reached": {"retry_after": 3_600, "limit": "sends_per_hour"},
    "provider_rate_limited": {"retry_after": 60},
    "provider_unavailable": {"retry_after": 2},
    "store_unavailable": {"retry_after": 1},
}


TREES = {service_errors.__name__, errors.__name__}
"""Other modules define further subclasses, which do not count."""


def kinds(parent: type[Exception]) -> list[type[Exception]]:
    children = [child for child in parent.__subclasses__() if child.__module__ in TREES]
    return [kind for child in children for kind in (child, *kinds(child))]


def named(parent: type[Exception]) -> dict[str, str]:
    """Return the class names of the leaves by code."""
    leaves = {kind for kind in kinds(parent) if not kinds(kind) and getattr(kind, "code", "")}
    return {str(vars(kind)["code"]): kind.__name__ for kind in leaves if "code" in vars(kind)}


def refused(service: ScriptedService, client: OtpClient) -> OtpServiceError:
    with pytest.raises(OtpServiceError) as refusal:
        client.verify(PHONE, ID, "012345")
    assert len(service.calls) == 1
    return refusal.value


@pytest.mark.parametrize("code", STATUS)
def test_problem_becomes_the_exception_of_its_code(
    service: ScriptedService, client: OtpClient, code: str
) -> None:
    service.will(problem(STATUS[code], code, **FACTS.get(code, {})))
    error = refused(service, client)

    assert isinstance(error, ApiError)
    assert type(error).__name__ == "".join(word.title() for word in code.split("_"))
    assert type(error) is getattr(client_package, type(error).__name__)
    assert (error.code, error.status, error.request_id) == (code, STATUS[code], "req-1")
    assert str(error) == f"{code}: What {code} means. (request id req-1)"
    assert error.members == FACTS.get(code, {})
    assert {name: getattr(error, name) for name in error.members} == error.members


def test_every_error_of_the_service_has_a_client_exception_with_the_same_name() -> None:
    service = named(service_errors.OtpError) | {"internal_error": "InternalError"}

    assert named(ApiError) == service
    assert set(STATUS) == set(service)


@pytest.mark.parametrize("name", ["InvalidProof", "ProofExpired", "ProofRedeemed"])
def test_read_proof_has_the_titles_of_the_service(name: str) -> None:
    kind = getattr(errors, name)

    assert proof_reader._TITLES[kind] == getattr(service_errors, name).title


def test_every_exception_has_a_code_of_its_own_or_of_its_problem() -> None:
    leaves = {kind for kind in kinds(OtpServiceError) if not kinds(kind)}
    own = [str(vars(kind)["code"]) for kind in leaves]

    assert len(set(own)) == len(leaves)
    assert set(own) - set(STATUS) == {"outcome_unknown", "service_unreachable", "unexpected_answer"}


def test_tree_contains_every_exception_with_its_code() -> None:
    drawn = dict(re.findall(r"^[│├└─ ]+(\w+) +(\w+)", str(errors.__doc__), re.MULTILINE))

    assert {code: name for name, code in drawn.items() if code in STATUS} == named(ApiError)
    assert {kind.__name__ for kind in kinds(OtpServiceError)} <= set(drawn)
    assert drawn["OutcomeUnknown"] == "outcome_unknown"


@pytest.mark.parametrize("code", ["much_too_new", "brand_new"])
def test_unknown_code_is_an_api_error(service: ScriptedService, client: OtpClient, code: str) -> None:
    service.will(problem(403, code, challenge={"kind": "pow"}))
    error = refused(service, client)

    assert type(error) is ApiError
    assert (error.code, error.members) == (code, {"challenge": {"kind": "pow"}})


@pytest.mark.parametrize(
    ("code", "fact", "value"),
    [
        ("wrong_code", "attempts_left", 0),
        ("cooldown_active", "retry_after", 1),
        ("limit_reached", "limit", ""),
        ("challenge_required", "challenge", {}),
        ("invalid_request", "errors", []),
    ],
)
def test_missing_member_has_a_safe_default(
    service: ScriptedService, client: OtpClient, code: str, fact: str, value: object
) -> None:
    service.will(problem(422, code))

    assert getattr(refused(service, client), fact) == value


@pytest.mark.parametrize(
    ("parent", "codes"),
    [
        (client_package.RequestError, {"invalid_request", "invalid_phone", "unauthorized", "invalid_code"}),
        (client_package.VerificationError, {"wrong_code", "verification_expired", "attempts_exhausted"}),
        (client_package.ProofError, {"invalid_proof", "proof_expired", "proof_redeemed"}),
        (client_package.LimitError, {"cooldown_active", "limit_reached"}),
        (
            client_package.ProviderError,
            {"destination_rejected", "provider_rate_limited", "provider_misconfigured"},
        ),
        (client_package.RetryableError, {"cooldown_active", "provider_unavailable", "store_unavailable"}),
    ],
)
def test_exceptions_have_their_base_classes(parent: type[ApiError], codes: set[str]) -> None:
    assert {
        code for code in codes if not isinstance(errors.from_problem(400, {"code": code}), parent)
    } == set()


@pytest.mark.parametrize("status", [301, 302, 304, 307, 308, 400, 404, 413, 429])
def test_status_without_a_problem_document_is_unexpected(
    service: ScriptedService, client: OtpClient, status: int
) -> None:
    service.will(says(status, b"" if status == 304 else b"<html>moved</html>", Location="/elsewhere"))
    error = refused(service, client)

    assert isinstance(error, UnexpectedAnswer)
    assert error.status == status


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"{}", b'{"code": 5}', b""])
@pytest.mark.parametrize("status", [500, 502, 504])
def test_server_error_without_a_problem_document_leaves_the_outcome_unknown(
    service: ScriptedService, client: OtpClient, status: int, body: bytes
) -> None:
    service.will(says(status, body))
    error = refused(service, client)

    assert isinstance(error, OutcomeUnknown)
    assert error.cause == f"HTTP status {status}"
