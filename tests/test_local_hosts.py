"""A44: local servers answer only requests for this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse

import pytest
from support.dns_rebinding import FOREIGN, LOOPBACK, answer, host_lines, status

from otp_service.cli.dev_server import DevServer
from otp_service.local_hosts import LocalHosts


def hello(_: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with DevServer(hello, 0) as server:
        yield server.url


@pytest.mark.parametrize("host", LOOPBACK)
def test_a44_local_server_answers_loopback_hosts(url: str, host: str) -> None:
    assert status(url, headers=host_lines(host)) == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_a44_local_server_refuses_foreign_hosts(url: str, host: str) -> None:
    assert status(url, headers=host_lines(host)) == 403


def test_a44_local_server_refuses_requests_with_two_hosts_or_none(url: str) -> None:
    assert status(url, headers="") == 403
    assert status(url, headers=host_lines("localhost", "evil.example")) == 403
    assert status(url, headers=host_lines("localhost", "localhost")) == 403


def test_refused_head_has_no_body(url: str) -> None:
    refused = answer(url, headers=host_lines("evil.example"), method="HEAD")

    assert refused.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("bound", "host", "expected"),
    [
        ("sandbox.internal", "sandbox.internal:8025", "200 OK"),
        ("Sandbox.Internal.", "sandbox.internal", "200 OK"),
        ("sandbox.internal", "other.internal", "403 Forbidden"),
        ("10.0.0.7", "10.0.0.7:8025", "200 OK"),
        ("10.0.0.7", "10.0.0.8:8025", "403 Forbidden"),
        ("2001:db8::1", "[2001:DB8:0::1]", "200 OK"),
        ("::", "[2001:db8::1]:8025", "200 OK"),
        ("::", "evil.example", "403 Forbidden"),
    ],
)
def test_bound_host_is_answered_too(bound: str, host: str, expected: str) -> None:
    said: list[str] = []
    environ = {"HTTP_HOST": host, "REQUEST_METHOD": "GET"}

    list(LocalHosts(hello, bound)(environ, lambda status_line, *_: said.append(status_line)))  # type: ignore[arg-type,func-returns-value]

    assert said == [expected]
