"""Attacks with a publishable key: learning about a phone, locking out its owner, flooding the service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from attacks.target import (
    ORIGIN,
    Answer,
    Target,
    browser,
    new_phone,
    running_target,
    with_browser,
    wrong_codes,
)

HOME = "203.0.113.1"
"""The IP address of a phone's owner; all others belong to strangers."""

TEST_PHONE, TEST_CODE = "+8613800138000", "135790"
BUDGET, AVAILABLE_TO_ALL = 10, 8
MINUTE, HOUR, DAY = 60, 3_600, 86_400


def behind_a_proxy(text: str) -> str:
    until = datetime.now(UTC).date() + timedelta(days=89)
    table = (
        f'[[test_phones]]\nphone = "{TEST_PHONE}"\ncode = "{TEST_CODE}"\nexpires = {until}\nname = "tests"\n'
    )
    return with_browser(text).replace("[service]\n", "[service]\nproxy_hops = 1\n", 1) + table


@pytest.fixture(scope="module")
def open_target() -> Iterator[Target]:
    """A target behind a proxy whose shop has a publishable key, with a clock that the test can move."""
    with running_target(change=behind_a_proxy, movable=True) as running:
        running.clients["browser"] = browser(running)
        yield running


@pytest.fixture(scope="module")
def poor_target() -> Iterator[Target]:
    """Like `open_target`, with a small budget for shop."""
    poor = lambda text: behind_a_proxy(text).replace("sms_per_day = 90000", f"sms_per_day = {BUDGET}", 1)  # noqa: E731
    with running_target(change=poor, movable=True) as running:
        running.clients["browser"] = browser(running)
        yield running


def request_code(target: Target, phone: str, address: str) -> Answer:
    """Request a code as a page does."""
    body = {"phone": phone, "purpose": "login"}
    return target.clients["browser"].call("/otp/request", body, Origin=ORIGIN, X_Forwarded_For=address)


def addresses() -> Iterator[str]:
    """Return IP addresses that have not been used before."""
    return (f"198.51.{number // 250}.{number % 250 + 1}" for number in range(60_000))


def verify_at_home(target: Target) -> str:
    """Return a phone that its owner has verified from HOME."""
    phone = new_phone()
    verification_id = target.open(phone, client_ip=HOME)
    approved = target.shop.verify(phone, verification_id, target.code(phone), client_ip=HOME)
    assert approved.status == 200
    return phone


# ── A37: idempotency keys across callers ──


def test_a37_backends_key_is_useless_to_a_stranger(open_target: Target) -> None:
    phone, key = new_phone(), "login-attempt-10001-of-the-backend"
    body = {"phone": phone, "purpose": "login"}
    page = open_target.clients["browser"]

    backend = open_target.shop.call("/otp/request", body, Idempotency_Key=key)
    stranger = page.call(
        "/otp/request", body, Origin=ORIGIN, X_Forwarded_For="198.51.100.9", Idempotency_Key=key
    )
    again = open_target.shop.call("/otp/request", body, Idempotency_Key=key)

    assert backend.status == again.status == 201
    assert again.body["verification_id"] == backend.body["verification_id"]
    assert (stranger.status, stranger.body["code"]) == (429, "cooldown_active")
    assert backend.body["verification_id"] not in stranger.text


def test_a37_a_strangers_key_does_not_block_the_backends_call(open_target: Target) -> None:
    phone, key = new_phone(), "login-attempt-10002-of-the-backend"
    page = open_target.clients["browser"]
    other = {"phone": new_phone(), "purpose": "login"}

    stranger = page.call(
        "/otp/request", other, Origin=ORIGIN, X_Forwarded_For="198.51.100.9", Idempotency_Key=key
    )
    backend = open_target.shop.call("/otp/request", {"phone": phone, "purpose": "login"}, Idempotency_Key=key)

    assert (stranger.status, backend.status) == (201, 201)


# ── A38: keeping the owner out ──


def test_a38_owner_of_an_attacked_phone_logs_in_from_home_and_on_a_known_device(
    open_target: Target,
) -> None:
    """Strangers guess until their limits are used up, through the weakest client."""
    target, strangers = open_target, addresses()
    phone = verify_at_home(target)
    target.pass_time(DAY)
    refusals: Counter[str] = Counter()
    while not refusals["phone_locked"]:
        answer = target.clients["forum"].request(phone, client_ip=next(strangers))
        if answer.status == 429:
            refusals[answer.body["limit"]] += 1
            if answer.body["limit"] != "phone_locked":
                target.pass_time(answer.body["retry_after"])
            continue
        if answer.status == 403:  # a challenge for a restricted phone, which these attackers can solve
            target.pass_time(DAY)
            refusals["phone_slow_lane"] += 1
            if refusals["phone_slow_lane"] > 3:
                break
            continue
        vid = answer.body["verification_id"]
        for guess in wrong_codes(target.code(phone), answer.body["attempts_left"]):
            target.clients["forum"].verify(phone, vid, guess)
    target.pass_time(MINUTE)

    from_afar = target.shop.request(phone, client_ip=next(strangers))
    known_phone = target.shop.request(phone, client_ip=next(strangers), known_phone=True)
    at_home = target.shop.request(phone, client_ip=HOME)
    target.pass_time(HOUR)
    on_device = target.shop.request(phone, client_ip=next(strangers), known_device=True)

    assert from_afar.status in (403, 429)
    assert known_phone.status in (403, 429)  # a known account does not identify its owner
    assert (at_home.status, on_device.status) == (201, 201)
    assert at_home.body["attempts_left"] == 5
    approved = target.shop.verify(phone, on_device.body["verification_id"], target.code(phone))
    assert approved.status == 200


# ── A40: test phones ──


def test_a40_test_phone_cannot_flood_the_service(open_target: Target) -> None:
    target, strangers = open_target, addresses()
    outcomes: Counter[tuple[int, str]] = Counter()
    with target.redis.client() as client:
        before = len(set(client.scan_iter("otp:{*")))
        for _ in range(300):
            answer = request_code(target, TEST_PHONE, next(strangers))
            outcomes[answer.status, answer.body.get("limit", "")] += 1
            if answer.status == 201:
                cancellation = {"phone": TEST_PHONE, "verification_id": answer.body["verification_id"]}
                target.clients["browser"].call("/otp/cancel", cancellation, Origin=ORIGIN)
        new_keys = len(set(client.scan_iter("otp:{*"))) - before

    assert outcomes[201, ""] == 60
    assert outcomes[429, "phone_sends_per_hour"] == 240
    assert new_keys <= 61
    assert target.sms(TEST_PHONE) == []


def test_a40_limits_of_an_address_apply_to_a_test_phone(open_target: Target) -> None:
    open_target.pass_time(2 * HOUR)
    answers = [request_code(open_target, TEST_PHONE, "198.18.0.1") for _ in range(70)]

    assert answers[0].status == 201
    assert answers[-1].status == 429
    with open_target.redis.client() as client:
        assert list(client.scan_iter("otp:address:*"))


# ── A41: finding out which phones are known ──


def test_a41_exhausted_budget_gives_the_same_answer_for_known_and_unknown_phones(poor_target: Target) -> None:
    target, strangers = poor_target, addresses()
    known = verify_at_home(target)
    target.pass_time(MINUTE)
    while (answer := request_code(target, new_phone(), next(strangers))).status == 201:
        pass

    answers = {
        whose: request_code(target, phone, next(strangers))
        for whose, phone in {"known": known, "unknown": new_phone()}.items()
    }
    at_home = request_code(target, known, HOME)
    backend = target.shop.request(new_phone(), known_phone=True)

    assert answer.body["limit"] == "client_sms_per_day"
    assert {(other.status, other.body["code"], other.body["limit"]) for other in answers.values()} == {
        (429, "limit_reached", "client_sms_per_day")
    }
    # The part reserved for known phones is available to trusted calls.
    assert at_home.status == 201
    assert backend.status == 201
    assert len(target.sms()) == BUDGET


def test_a41_first_answer_to_a_browser_reveals_no_earlier_verification(open_target: Target) -> None:
    """Neither `sends_left` nor `resend_in` depends on other verifications."""
    target, strangers = open_target, addresses()
    busy, fresh = new_phone(), new_phone()
    for wait in (61, 61, 121):
        target.open(busy)
        target.pass_time(wait)

    bodies = [request_code(target, phone, next(strangers)).body for phone in (busy, fresh)]

    assert [(body["sends_left"], body["resend_in"]) for body in bodies] == [(3, 60), (3, 60)]
    server = target.shop.status(busy, bodies[0]["verification_id"]).body
    assert server["sends_left"] < 3
