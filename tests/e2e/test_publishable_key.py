"""A browser's calls over the real server: its key, its page, and the address of its connection."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.deployment import Deployment, new_phone, running_service
from support.redis_servers import redis_binary, running

KEY, PAGE = "pk_0123456789abcdefghijklmnop", "https://www.shop.example"


def for_browsers(text: str) -> str:
    text = text.replace(
        "[clients.shop]\n", f'[clients.shop]\npublishable_key = "{KEY}"\norigins = ["{PAGE}"]\n'
    )
    return text + "\n[ip_limits]\nsends_per_hour = 3\nphones_per_day = 3\nverified_allowance_ratio = 0.0\n"


def behind_a_proxy(text: str) -> str:
    return for_browsers(text).replace("[service]\n", "[service]\nproxy_hops = 1\n")


@pytest.fixture(scope="module", params=[for_browsers, behind_a_proxy], ids=["open", "behind a proxy"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Deployment, bool]]:
    directory = tmp_path_factory.mktemp("service")
    with (
        running(redis_binary()) as redis,
        running_service(redis, directory, change=request.param) as deployment,
    ):
        yield deployment, request.param is behind_a_proxy


def request_code(
    service: Deployment, phone: str, *headers: tuple[str, str]
) -> tuple[int, Any, dict[str, str]]:
    """Request a code as a page does; a header may occur more than once."""
    connection = http.client.HTTPConnection(urlsplit(service.url).netloc, timeout=30)
    body = json.dumps({"phone": phone, "purpose": "login"}).encode()
    connection.putrequest("POST", "/otp/request")
    standard = [
        ("Authorization", f"Bearer {KEY}"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Origin", PAGE),
    ]
    for name, value in [*standard, *headers]:
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body, {name.lower(): value for name, value in answer.getheaders()}


def test_page_gets_its_code_and_can_read_the_answer(service: tuple[Deployment, bool]) -> None:
    deployment, _ = service
    phone = new_phone()

    status, body, headers = request_code(deployment, phone, ("X-Forwarded-For", "198.51.100.200"))

    assert (status, headers["access-control-allow-origin"], headers["vary"]) == (201, PAGE, "Origin")
    assert deployment.code(phone)
    assert body["phone_masked"].endswith(phone[-4:])


def test_forged_headers_do_not_change_the_address(service: tuple[Deployment, bool]) -> None:
    deployment, behind = service
    ours = [("X-Forwarded-For", "198.51.100.7")] if behind else []

    outcomes = []
    for number in range(8):
        lie = f"6.6.6.{number}"
        forged = [("X-Real-IP", lie), ("Forwarded", f"for={lie}"), ("X-Forwarded-For", lie)]
        status, body, _ = request_code(deployment, new_phone(), *forged, *ours)
        outcomes.append(body.get("code", status))

    assert outcomes[-1] == "challenge_required"
    assert outcomes.count(201) <= 3


def test_behind_a_trusted_proxy_each_address_is_counted_separately(service: tuple[Deployment, bool]) -> None:
    deployment, behind = service
    statuses = [
        request_code(deployment, new_phone(), ("X-Forwarded-For", f"198.51.100.{100 + number}"))[0]
        for number in range(6)
    ]

    assert (statuses == [201] * 6) is behind


def test_other_pages_get_nothing(service: tuple[Deployment, bool]) -> None:
    deployment, _ = service
    phone = new_phone()
    connection = http.client.HTTPConnection(urlsplit(deployment.url).netloc, timeout=30)
    body = json.dumps({"phone": phone, "purpose": "login"})
    headers = {
        "Authorization": f"Bearer {KEY}",
        "Content-Type": "application/json",
        "Origin": "https://www.shop.example.evil",
    }
    connection.request("POST", "/otp/request", body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()

    assert answer.status == 403
    assert answer.getheader("Access-Control-Allow-Origin") is None
    assert deployment.inbox(phone) == []
