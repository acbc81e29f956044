"""Verification ids: bearer secrets that outsiders cannot find, guess, or use to lock others out."""

from __future__ import annotations

import itertools
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from attacks.target import (
    ORIGIN,
    Answer,
    Target,
    browser,
    in_parallel,
    new_phone,
    running_target,
    with_browser,
    wrong_codes,
)
from attacks.test_secrets import ratio_of_times, without_random_parts
from support.waiting import eventually

MISSES = 60
"""The default limit of an IP address in ten minutes."""

Calls = dict[str, Callable[[str, str], Answer]]


def behind_a_proxy(text: str) -> str:
    return with_browser(text).replace("[service]\n", "[service]\nproxy_hops = 1\n", 1)


@pytest.fixture(scope="module")
def open_target() -> Iterator[Target]:
    """A target whose shop has a publishable key, behind a proxy that sends the end user's IP address."""
    with running_target(change=behind_a_proxy) as running:
        running.clients["browser"] = browser(running)
        yield running


_check_client_ips = itertools.count()


def an_address() -> str:
    """Return an IP address that has not been used before."""
    number = next(_check_client_ips)
    return f"198.51.{number >> 8}.{number & 255}"


def page_at(target: Target, address: str) -> Callable[[str, dict[str, str]], Answer]:
    """Return a caller with the publishable key at *address*."""
    page = target.clients["browser"]
    return lambda path, body: page.call(path, body, Origin=ORIGIN, X_Forwarded_For=address)


def calls_from(target: Target, address: str) -> Calls:
    """Return the calls with a verification id that a page at *address* can make."""
    page = page_at(target, address)
    return {
        "status": lambda phone, vid: page("/otp/status", {"phone": phone, "verification_id": vid}),
        "cancel": lambda phone, vid: page("/otp/cancel", {"phone": phone, "verification_id": vid}),
        "resend": lambda phone, vid: page("/otp/request", {"phone": phone, "verification_id": vid}),
        "verify": lambda phone, vid: page(
            "/otp/verify", {"phone": phone, "verification_id": vid, "code": "000000"}
        ),
    }


def open_from(target: Target, address: str, phone: str) -> str:
    answer = page_at(target, address)("/otp/request", {"phone": phone, "purpose": "login"})
    assert answer.status == 201, answer.text
    return str(answer.body["verification_id"])


def use_up_misses(target: Target, address: str) -> list[Answer]:
    """Ask for verifications that do not exist, far more often than an address may."""
    status = calls_from(target, address)["status"]

    def miss() -> Answer:
        return status(new_phone(), secrets.token_urlsafe(16))

    answers = in_parallel([miss] * (10 * MISSES), threads=8)
    # Workers share their counts twice a second. Only then do they know when the address may ask again.
    assert eventually(
        lambda: all(answer.body.get("retry_after", 0) > 1 for answer in in_parallel([miss] * 16, threads=8))
    )
    return answers


# ── A36: ids cannot be found or guessed ──


def test_a36_misses_from_one_address_are_limited(open_target: Target) -> None:
    answers = use_up_misses(open_target, an_address())

    outcomes = Counter((answer.status, answer.body.get("limit", "")) for answer in answers)
    refused = outcomes[429, "address_misses_per_10_minutes"]
    assert set(outcomes) == {(404, ""), (429, "address_misses_per_10_minutes")}
    # Each of two workers counts by itself for up to half a second.
    assert refused >= len(answers) - 2 * MISSES - 16
    assert all(answer.body["retry_after"] >= 1 for answer in answers if answer.status == 429)


def test_a36_hidden_digits_of_a_phone_cannot_be_guessed_with_a_known_id(open_target: Target) -> None:
    """An attacker with an id cannot find out its phone: 10,000 phones fit the mask."""
    victim = new_phone()
    vid = open_from(open_target, an_address(), victim)
    address = an_address()
    use_up_misses(open_target, address)

    answers = {
        name: {without_random_parts(call(phone, vid)) for phone in (victim, new_phone())}
        for name, call in calls_from(open_target, address).items()
    }

    for name, texts in answers.items():
        assert len({text.replace(retry_of(text), "") for text in texts}) == 1, name
        assert all(text.startswith("429 ") for text in texts), name
    assert open_target.phone_state(victim).live == 1


def retry_of(text: str) -> str:
    """Return the seconds to wait in an answer, which change between two calls."""
    return text.partition('"retry_after":')[2].partition(",")[0].partition("}")[0]


@pytest.mark.parametrize("call", ["status", "cancel", "verify", "resend"])
def test_a36_wrong_phone_and_unknown_id_get_the_same_answer(open_target: Target, call: str) -> None:
    phone, other = new_phone(), new_phone()
    vid = open_from(open_target, an_address(), phone)
    ask = calls_from(open_target, an_address())[call]

    answers = {
        without_random_parts(answer) for answer in (ask(other, vid), ask(other, secrets.token_urlsafe(16)))
    }

    assert len(answers) == 1
    assert answers.pop().startswith("404 ")


@pytest.mark.parametrize("call", ["status", "cancel"])
def test_a36_wrong_phone_and_unknown_id_take_equally_long(open_target: Target, call: str) -> None:
    """The wrong phone has verifications of its own, which must not be read before the id is found."""
    phone, busy = new_phone(), new_phone()
    vid = open_from(open_target, an_address(), phone)
    opened = open_target.open(busy)
    for guess in wrong_codes(open_target.code(busy), 4):
        open_target.shop.verify(busy, opened, guess)
    statuses: Counter[int] = Counter()

    def page(phone: str, verification_id: str) -> Answer:
        """Make the call from a new address, whose misses are unused."""
        answer = calls_from(open_target, an_address())[call](phone, verification_id)
        statuses[answer.status] += 1
        return answer

    def wrong_phone() -> Answer:
        return page(busy, vid)

    def unknown_id() -> Answer:
        return page(new_phone(), secrets.token_urlsafe(16))

    assert 0.67 < ratio_of_times(wrong_phone, unknown_id) < 1.5
    assert set(statuses) == {404}


# ── A39: neighbours behind one address ──


def test_a39_address_of_a_verification_is_not_affected_by_neighbours(open_target: Target) -> None:
    phone, shared = new_phone(), an_address()
    vid = open_from(open_target, shared, phone)
    use_up_misses(open_target, shared)
    calls = calls_from(open_target, shared)

    assert calls["status"](phone, vid).status == 200
    assert calls["verify"](phone, vid).body["code"] == "wrong_code"
    right = page_at(open_target, shared)(
        "/otp/verify", {"phone": phone, "verification_id": vid, "code": open_target.code(phone)}
    )
    assert right.status == 200


def test_a39_address_over_its_limit_gets_the_same_answer_for_hits_and_misses(
    open_target: Target,
) -> None:
    phone = new_phone()
    vid = open_from(open_target, an_address(), phone)
    third = an_address()
    use_up_misses(open_target, third)

    for name, call in calls_from(open_target, third).items():
        hit, miss = call(phone, vid), call(phone, secrets.token_urlsafe(16))
        assert (hit.status, hit.body["limit"]) == (429, "address_misses_per_10_minutes"), name
        assert (miss.status, miss.body["limit"]) == (429, "address_misses_per_10_minutes"), name
    # No attempt was used, and nothing was canceled.
    assert open_target.phone_state(phone).failures == 0
    assert open_target.phone_state(phone).live == 1


def test_a39_secret_keys_are_not_limited_by_address(open_target: Target) -> None:
    phone, other, shared, shop = new_phone(), new_phone(), an_address(), open_target.shop
    vid = open_target.open(phone, client_ip=an_address())
    other_vid = open_target.open(other, client_ip=an_address())
    use_up_misses(open_target, shared)
    named, behind = {"phone": phone, "verification_id": vid}, {"X_Forwarded_For": shared}
    code = open_target.code(phone)

    answers = {
        "resend": shop.call("/otp/request", {**named, "client_ip": shared}, **behind),
        "status": shop.call("/otp/status", named, **behind),
        "verify": shop.call("/otp/verify", {**named, "code": code, "client_ip": shared}, **behind),
        "cancel": shop.call("/otp/cancel", {"phone": other, "verification_id": other_vid}, **behind),
    }

    limits = {name: (answer.body or {}).get("limit") for name, answer in answers.items()}
    # A resend right after its request gets the cooldown, so it has found its verification.
    assert limits == {"resend": "phone_cooldown", "status": None, "verify": None, "cancel": None}
    assert [answer.status for answer in answers.values()] == [429, 200, 200, 204]


def test_a39_nothing_is_stored_for_ids_that_do_not_exist(open_target: Target) -> None:
    address = an_address()
    time.sleep(1.5)  # counters of earlier calls are written within a second
    with open_target.redis.client() as client:
        before = set(client.scan_iter())
        use_up_misses(open_target, address)
        fresh = {key.partition(b"{")[0] for key in set(client.scan_iter()) - before}

    assert fresh <= {b"otp:misses:", b"otp:wrong_codes:"}
