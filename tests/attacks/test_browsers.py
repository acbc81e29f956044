"""Browsers: a publishable key is public, so it must be useless to a page of another site."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from attacks.target import ORIGIN, Answer, Target, browser, new_phone, running_target, with_browser
from support.deployment import exchange

FOREIGN = (
    "https://shop.example.evil",
    "https://evil-shop.example",
    "https://evil.example",
    "https://sub.shop.example",
    "https://shop.example:444",
    "https://shop.example:443.evil",
    "http://shop.example",
    "https://shop.example/",
    "https://shop.example@evil.example",
    "HTTPS://SHOP.EXAMPLE",
    "https://shopXexample",
    "https://shop.example, https://evil.example",
    "https://shop.example\tevil",
    "null",
    "*",
    "",
)


@pytest.fixture(scope="module")
def open_target() -> Iterator[Target]:
    """A target whose shop has a publishable key for one origin."""
    with running_target(change=with_browser) as running:
        running.clients["browser"] = browser(running)
        yield running


def allowed_origin(answer: Answer) -> str | None:
    return header(answer, "access-control-allow-origin")


def header(answer: Answer, name: str) -> str | None:
    return next((value for given, value in answer.headers.items() if given.lower() == name), None)


def test_a31_the_clients_own_page_is_served(open_target: Target) -> None:
    """The positive control: the following tests are rejected only because of their origin."""
    page, phone = open_target.clients["browser"], new_phone()

    answers: list[Any] = [page.call("/otp/request", {"phone": phone, "purpose": "login"}, Origin=ORIGIN)]
    held = {"phone": phone, "verification_id": answers[0].body["verification_id"]}
    answers.append(page.call("/otp/status", held, Origin=ORIGIN))
    answers.append(
        page.call("/otp/verify", {**held, "code": open_target.code(phone)}, Origin=ORIGIN),
    )

    assert [answer.status for answer in answers] == [201, 200, 200]
    assert {allowed_origin(answer) for answer in answers} == {ORIGIN}
    assert {header(answer, "vary") for answer in answers} == {"Origin"}
    assert answers[1].body["sends"] is None
    assert open_target.shop.redeem(answers[2].body["proof"]).status == 200


@pytest.mark.parametrize("origin", FOREIGN, ids=ascii)
def test_a31_another_site_cannot_use_the_key(open_target: Target, origin: str) -> None:
    page, phone = open_target.clients["browser"], new_phone()
    held = open_target.open(phone)
    other = new_phone()

    answers = [
        page.call("/otp/request", {"phone": other, "purpose": "login"}, Origin=origin),
        page.call("/otp/request", {"phone": phone, "verification_id": held}, Origin=origin),
        page.call(
            "/otp/verify",
            {"phone": phone, "verification_id": held, "code": open_target.code(phone)},
            Origin=origin,
        ),
        page.call("/otp/cancel", {"phone": phone, "verification_id": held}, Origin=origin),
        page.call("/otp/status", {"phone": phone, "verification_id": held}, Origin=origin),
    ]

    assert {(answer.status, answer.body["code"]) for answer in answers} == {(403, "forbidden")}
    assert {allowed_origin(answer) for answer in answers} == {None}
    assert open_target.sms(other) == []
    assert open_target.phone_state(phone).live == 1


@pytest.mark.parametrize("origin", FOREIGN, ids=ascii)
def test_a31_preflight_of_another_site_is_rejected(open_target: Target, origin: str) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }

    answer = exchange("OPTIONS", f"{open_target.deployment.url}/otp/request", None, asked)

    assert allowed_origin(answer) is None


def test_a31_without_an_origin_the_key_sends_nothing(open_target: Target) -> None:
    """Requests that no browser sends, and those that a form of another site can post without a preflight."""
    page, phone = open_target.clients["browser"], new_phone()
    body = json.dumps({"phone": phone, "purpose": "login"}).encode()

    answers = [page.request(phone)]
    answers += [
        page.call("/otp/request", body, Content_Type=media_type, Origin=origin)
        for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "")
        for origin in (ORIGIN, "https://evil.example")
    ]

    assert [answer.status for answer in answers] == [403, *[415, 403] * 4]
    assert open_target.sms(phone) == []


def test_a31_publishable_key_cannot_make_server_calls(open_target: Target) -> None:
    """Redeem, and the fields that only servers may send, are rejected."""
    page, phone = open_target.clients["browser"], new_phone()
    verification_id = open_target.open(phone)
    proof = open_target.shop.verify(phone, verification_id, open_target.code(phone)).body["proof"]
    other = new_phone()

    answers = [
        page.call("/otp/redeem", {"proof": proof, "purpose": "login"}, Origin=ORIGIN),
        page.call("/otp/unlock", {"phone": phone}, Origin=ORIGIN),
        *(
            page.call("/otp/request", {"phone": other, "purpose": "login", **field}, Origin=ORIGIN)
            for field in ({"client_ip": "203.0.113.9"}, {"known_phone": True}, {"known_phone": False})
        ),
    ]

    assert {(answer.status, answer.body["code"]) for answer in answers} == {(403, "forbidden")}
    assert open_target.sms(other) == []
    assert open_target.shop.redeem(proof).status == 200


def test_a31_no_answer_allows_every_origin(open_target: Target) -> None:
    """Nor do the pages; and secret keys are for servers, so no origin is allowed with one."""
    url = open_target.deployment.url
    answers = [
        exchange("GET", f"{url}{path}", None, {"Origin": "https://evil.example"})
        for path in ("/healthz", "/readyz", "/openapi.json", "/docs")
    ]
    answers.append(open_target.shop.call("/otp/cancel", {}, Origin="https://evil.example"))

    assert {allowed_origin(answer) for answer in answers} == {None}
