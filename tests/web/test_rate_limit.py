"""The rate-limit headers, which servers get and browsers do not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from support import fakes
from web.web_app import PHONE, WebApp, open_web_app

import otp_service
from otp_service.domain.limits import CodeLimits, IpLimits, PhoneLimits, RateLimitPolicy, rate_limit_policies
from otp_service.services.id_guessing import MISSES_LIMIT

FIELDS = "RateLimit-Policy", "RateLimit"
PAGE = "https://shop.example"
KEY = "pk_shop-0123456789abcdefghijklmnop"


@pytest.fixture
def web_app() -> WebApp:
    """A web app whose shop is also called from pages."""
    shop = replace(fakes.SHOP, publishable_key=KEY, origins=frozenset({PAGE}))
    return open_web_app(fakes.harness(shop))


def rate_limit_headers(answer: object) -> tuple[str | None, ...]:
    return tuple(answer.headers.get(name) for name in FIELDS)  # type: ignore[attr-defined]


def test_server_gets_the_remaining_sms_and_the_time_of_the_next(web_app: WebApp) -> None:
    answer = web_app.request()

    assert answer.status_code == 201
    assert rate_limit_headers(answer) == ('"verification_sends";q=4', '"verification_sends";r=3;t=60')


def test_server_gets_the_limit_that_rejected(web_app: WebApp) -> None:
    web_app.request()
    web_app.harness.clock.advance(20)

    answer = web_app.request()

    assert answer.status_code == 429
    assert rate_limit_headers(answer) == ('"phone_cooldown";q=1;w=60', '"phone_cooldown";r=0;t=40')
    assert answer.headers["Retry-After"] == "40"


def test_browser_gets_no_rate_limit_headers(web_app: WebApp) -> None:
    body = {"phone": PHONE, "purpose": "login"}
    answers = [web_app.post("/otp/request", body, key=KEY, Origin=PAGE) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 429]
    assert [rate_limit_headers(answer) for answer in answers] == [(None, None)] * 2


def test_other_outcomes_have_no_rate_limit_headers(web_app: WebApp) -> None:
    verification_id = web_app.open_verification()
    answers = [
        web_app.verify(verification_id, "000000x"),
        web_app.verify(verification_id, web_app.harness.sender.last_code),
        web_app.post("/otp/request", {}),
        web_app.post("/otp/request", {}, key="sk_unknown"),
        web_app.get("/healthz"),
    ]

    assert [rate_limit_headers(answer) for answer in answers] == [(None, None)] * 5


def test_limits_of_the_client_are_used() -> None:
    strict = replace(fakes.SHOP, limits=PhoneLimits(cooldown=(90,)))
    web_app = open_web_app(fakes.harness(strict))
    web_app.request()

    assert rate_limit_headers(web_app.request())[0] == '"phone_cooldown";q=1;w=90'


def test_every_rejecting_limit_has_its_quota() -> None:
    package = Path(otp_service.__file__).parent
    scripts = "".join(path.read_text() for path in package.rglob("*.lua"))
    refusing = set(re.findall(r"'((?:phone|address|verification)_(?!not|exp|canc)[a-z0-9_]+)'", scripts))
    refusing |= {MISSES_LIMIT, "client_sms_per_day", "service_sms_per_day"}

    known = rate_limit_policies(PhoneLimits(), CodeLimits(), IpLimits(), 10, 100)

    assert set(known) == refusing
    assert known["phone_sends_per_hour"] == RateLimitPolicy(5, 3600)
    assert known["address_sends_per_hour"] == RateLimitPolicy(200, 3600)
    assert (known["client_sms_per_day"], known["service_sms_per_day"]) == (
        RateLimitPolicy(10, 86400),
        RateLimitPolicy(100, 86400),
    )
