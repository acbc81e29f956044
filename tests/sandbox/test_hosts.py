"""A44: the sandbox answers only requests for this machine, on every page and for every action of its APIs."""

from __future__ import annotations

import re

import pytest
from support.dns_rebinding import FOREIGN, LOOPBACK, answer, host_lines, status

from otp_service.sandbox import SandboxConfig, SandboxServer, start_sandbox
from otp_service.sandbox.app import create_sandbox

CONFIG = SandboxConfig.default({"testId": "testSecret"})


def every_route() -> list[tuple[str, str]]:
    rules = create_sandbox(CONFIG).url_map.iter_rules()
    return sorted(
        {(method, re.sub("<.*?>", "x", rule.rule)) for rule in rules for method in rule.methods or ()}
    )


@pytest.mark.parametrize("host", LOOPBACK)
def test_a44_sandbox_answers_loopback_hosts(server: SandboxServer, host: str) -> None:
    assert status(server.url, "/inbox.json", host_lines(host)) == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_a44_sandbox_refuses_foreign_hosts(server: SandboxServer, host: str) -> None:
    assert status(server.url, "/inbox.json", host_lines(host)) == 403


@pytest.mark.parametrize(("method", "path"), every_route())
def test_a44_sandbox_refuses_foreign_hosts_at_every_route(
    server: SandboxServer, method: str, path: str
) -> None:
    assert status(server.url, path, host_lines("evil.example"), method) == 403
    assert status(server.url, path, host_lines("localhost"), method) != 403 or method == "POST"


def test_a44_sandbox_refuses_requests_with_two_hosts_or_none(server: SandboxServer) -> None:
    assert status(server.url, "/inbox.json", "") == 403
    assert status(server.url, "/inbox.json", host_lines("localhost", "evil.example")) == 403
    assert status(server.url, "/inbox.json", host_lines("evil.example", "localhost")) == 403


def test_a44_host_of_an_absolute_request_url_counts(server: SandboxServer) -> None:
    assert status(server.url, "http://evil.example/inbox.json", host_lines("localhost")) == 403


def test_a44_refusal_shows_nothing_of_the_inbox_and_is_not_cached(server: SandboxServer) -> None:
    refused = answer(server.url, "/inbox.json", host_lines("evil.example"))

    assert b"Cache-Control: no-store" in refused
    assert refused.partition(b"\r\n\r\n")[2].startswith(b"This server answers only on this machine")


@pytest.mark.parametrize(
    ("bound", "host", "expected"),
    [
        ("localhost", "localhost:{port}", 200),
        ("::1", "[::1]:{port}", 200),
        ("::1", "evil.example", 403),
        ("0.0.0.0", "192.168.1.7:{port}", 200),
        ("0.0.0.0", "evil.example:{port}", 403),
        ("127.0.0.2", "127.0.0.2:{port}", 200),
        ("127.0.0.2", "10.0.0.1:{port}", 403),
    ],
)
def test_a44_sandbox_answers_the_address_that_it_listens_on(bound: str, host: str, expected: int) -> None:
    with start_sandbox(CONFIG, host=bound) as server:
        assert status(server.url, "/inbox.json", host_lines(host)) == expected
