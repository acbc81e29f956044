"""clients/js: which calls are repeated, and errors contain no secret."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from client.test_faults import BAD_RESPONSES, FAULTS, PROOF, STATUS, self_signed
from support import redis_servers, scripted_service
from support.nodejs import make_call
from support.scripted_service import Answer, ScriptedService, closes, problem, says

PHONE, ID, CODE = "+8613800138000", "v" * 22, "012345"
SECRETS = ("sk_never_shown_anywhere", "13800138000", CODE, PROOF)
ONCE: dict[str, list[Any]] = {
    "request": ["request", PHONE],
    "resend": ["resend", PHONE, ID],
    "verify": ["verify", PHONE, ID, CODE],
    "redeem": ["redeem", PROOF, {"purpose": "login"}],
    "cancel": ["cancel", PHONE, ID],
}


@pytest.fixture
def service() -> Iterator[ScriptedService]:
    with scripted_service.serving() as service:
        yield service


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_call_that_may_have_arrived_is_not_repeated(service: ScriptedService, fault: Answer) -> None:
    service.will(fault, says(204))
    result = make_call(service.url, *ONCE["verify"], timeoutMs=400)

    assert result["error"]["name"] == "OutcomeUnknown"
    assert result["error"]["facts"]["cause"]
    assert len(service.calls) == 1


@pytest.mark.parametrize("call", ONCE.values(), ids=ONCE.keys())
def test_no_call_is_made_twice(service: ScriptedService, call: list[Any]) -> None:
    service.will(closes, says(204))

    assert make_call(service.url, *call)["error"]["name"] == "OutcomeUnknown"
    assert len(service.calls) == 1


def test_status_is_repeated_once(service: ScriptedService) -> None:
    service.will(closes, says(200, STATUS))

    assert make_call(service.url, "status", PHONE, ID)["value"]["status"] == "pending"
    assert len(service.calls) == 2


def test_status_is_not_repeated_twice(service: ScriptedService) -> None:
    service.will(closes, closes, says(200, STATUS))

    assert make_call(service.url, "status", PHONE, ID)["error"]["name"] == "OutcomeUnknown"
    assert len(service.calls) == 2


def test_rejected_call_is_not_repeated(service: ScriptedService) -> None:
    service.will(problem(401, "unauthorized"), says(200, STATUS))

    assert make_call(service.url, "status", PHONE, ID)["error"]["name"] == "Unauthorized"
    assert len(service.calls) == 1


def test_a_refused_connection_sent_nothing() -> None:
    error = make_call(f"http://127.0.0.1:{redis_servers.closed_port()}", *ONCE["verify"])["error"]

    assert (error["name"], error["facts"]["cause"]) == ("ServiceUnreachable", "ECONNREFUSED")


def test_a_name_that_does_not_resolve_sent_nothing() -> None:
    assert make_call("http://otp.invalid", *ONCE["request"])["error"]["name"] == "ServiceUnreachable"


def test_connect_timeout_sent_nothing() -> None:
    """A listener with a full queue accepts no further connection."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        error = make_call(url, *ONCE["request"], timeoutMs=300)["error"]

    assert error["name"] == "ServiceUnreachable"


def test_environment_is_not_used(service: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{redis_servers.closed_port()}")
    monkeypatch.setenv("NODE_USE_ENV_PROXY", "1")
    service.will(says(204))

    assert "error" not in make_call(service.url, *ONCE["cancel"])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(service: ScriptedService, status: int) -> None:
    with scripted_service.serving() as elsewhere:
        service.will(says(status, Location=f"{elsewhere.url}/otp/verify"))
        error = make_call(service.url, *ONCE["verify"])["error"]

    assert (error["name"], error["facts"]["status"]) == ("UnexpectedAnswer", status)
    assert (elsewhere.calls, elsewhere.gets) == ([], 0)


def test_a_service_with_a_foreign_certificate_gets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = self_signed(tmp_path)
    with scripted_service.serving(certificate, key) as service:
        service.will(says(204), closes)
        error = make_call(service.url, *ONCE["cancel"])["error"]

        assert error["name"] == "ServiceUnreachable"
        assert "CERT" in error["facts"]["cause"]
        assert service.calls == []

        monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(certificate))
        assert "error" not in make_call(service.url, *ONCE["cancel"])
        assert make_call(service.url, *ONCE["cancel"])["error"]["name"] == "OutcomeUnknown"
        assert len(service.calls) == 2


@pytest.mark.parametrize("fault", BAD_RESPONSES.values(), ids=BAD_RESPONSES.keys())
@pytest.mark.parametrize("call", [ONCE["verify"], ONCE["redeem"]], ids=["verify", "redeem"])
def test_no_error_contains_a_secret(service: ScriptedService, call: list[Any], fault: Answer) -> None:
    service.will(fault)
    result = make_call(service.url, *call, timeoutMs=400)

    assert "OtpServiceError" in result["error"]["kinds"]
    assert [secret for secret in SECRETS if secret in result["shown"]] == []
