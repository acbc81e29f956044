"""clients/js: every problem document becomes the error of its code, in the same tree as in Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from client.test_refusals import FACTS, STATUS
from support import scripted_service
from support.nodejs import ROOT, make_call, make_calls
from support.scripted_service import ScriptedService, problem, says

from otp_service_client import errors

PHONE, ID = "+8613800138000", "v" * 22
VERIFY = ["verify", PHONE, ID, "012345"]
CAMEL = {"attempts_left": "attemptsLeft", "retry_after": "retryAfter"}


@pytest.fixture
def service() -> Iterator[ScriptedService]:
    with scripted_service.serving() as service:
        yield service


def kinds_in_python(code: str) -> set[str]:
    """Return the names of the Python error class of *code* and its base classes."""
    kind = type(errors.from_problem(400, {"code": code}))
    return {parent.__name__ for parent in kind.__mro__ if issubclass(parent, errors.OtpServiceError)}


def test_every_problem_is_converted_to_the_error_of_its_code(service: ScriptedService) -> None:
    service.will(*(problem(STATUS[code], code, **FACTS.get(code, {})) for code in STATUS))
    errors = [result["error"] for result in make_calls(service.url, *[VERIFY] * len(STATUS))["results"]]

    for code, error in zip(STATUS, errors, strict=True):
        facts = FACTS.get(code, {})
        assert error["name"] == "".join(word.title() for word in code.split("_"))
        assert set(error["kinds"]) == kinds_in_python(code)
        assert error["message"] == f"{code}: What {code} means. (request id req-1)"
        assert error["facts"] == {
            "code": code,
            "status": STATUS[code],
            "title": f"What {code} means.",
            "requestId": "req-1",
            "members": facts,
            **{CAMEL.get(name, name): value for name, value in facts.items()},
        }


@pytest.mark.parametrize("code", ["much_too_new", "constructor", "__proto__"])
def test_a_code_of_a_newer_service_is_an_api_error(service: ScriptedService, code: str) -> None:
    service.will(problem(403, code, challenge={"kind": "pow"}))
    error = make_call(service.url, *VERIFY)["error"]

    assert (error["name"], error["facts"]["code"]) == ("ApiError", code)
    assert error["kinds"] == ["ApiError", "OtpServiceError"]


def test_missing_field_has_the_safe_default(service: ScriptedService) -> None:
    careful: dict[str, tuple[str, Any]] = {
        "wrong_code": ("attemptsLeft", 0),
        "cooldown_active": ("retryAfter", 1),
        "limit_reached": ("limit", ""),
        "challenge_required": ("challenge", {}),
        "invalid_request": ("errors", []),
    }
    service.will(*(problem(422, code) for code in careful))
    made = make_calls(service.url, *[VERIFY] * len(careful))["results"]

    facts_by_code = {result["error"]["facts"]["code"]: result["error"]["facts"] for result in made}
    assert {code: facts_by_code[code][fact] for code, (fact, _) in careful.items()} == {
        code: value for code, (_, value) in careful.items()
    }


@pytest.mark.parametrize("status", [301, 308, 400, 404, 429])
def test_a_status_without_a_problem_is_unexpected(service: ScriptedService, status: int) -> None:
    service.will(says(status, b"<html>moved</html>", Location="/elsewhere"))
    error = make_call(service.url, *VERIFY)["error"]

    assert (error["name"], error["facts"]["status"]) == ("UnexpectedAnswer", status)


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"{}", b'{"code": 5}', b""])
def test_a_server_fault_without_a_problem_leaves_the_outcome_unknown(
    service: ScriptedService, body: bytes
) -> None:
    service.will(says(502, body))
    error = make_call(service.url, *VERIFY)["error"]

    assert (error["name"], error["facts"]["cause"]) == ("OutcomeUnknown", "HTTP status 502")


def test_error_tree_in_the_docs_matches_the_python_client() -> None:
    drawing = (ROOT / "clients" / "js" / "lib" / "errors.js").read_text()
    branches = re.findall(r"^// ([│├└─ ]*[├└]── )(\w+)", drawing, re.MULTILINE)

    assert branches == re.findall(r"^([│├└─ ]*[├└]── )(\w+)", str(errors.__doc__), re.MULTILINE)
