"""The header of an idempotency key: read with distrust, answered with its twin."""

from __future__ import annotations

import fakeredis
import fakes
import pytest
from fakes import FakeEvents
from web.desk import PHONE, Desk, open_desk, pointers, problem

from otp_service.store.store import RedisStore

KEY = {"Idempotency_Key": "0b36ee45-7b7a-4f5d-9c3e-order-17"}


@pytest.fixture
def redis() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis()


@pytest.fixture
def desk(redis: fakeredis.FakeRedis) -> Desk:
    return open_desk(fakes.house(store=RedisStore(redis, FakeEvents(), shebang=False)))


def test_repeated_request_is_answered_the_same_and_says_so(desk: Desk) -> None:
    first = desk.post("/otp/request", {"phone": PHONE, "purpose": "login"}, **KEY)
    second = desk.post("/otp/request", {"purpose": "login", "phone": PHONE}, **KEY)

    told, again = first.get_json(), second.get_json()
    for relative in ("expires_in", "resend_in"):
        assert again.pop(relative) <= told.pop(relative)
    assert (first.status_code, second.status_code) == (201, 201)
    assert again == told
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(desk.house.sender.sent) == 1


def test_every_repeatable_call_says_so(desk: Desk) -> None:
    opened = {"phone": PHONE, "verification_id": desk.opened()}
    code = {**opened, "code": desk.house.sender.last_code}
    approved = [desk.post("/otp/verify", code, **KEY) for _ in range(2)]
    proof = {"proof": approved[0].get_json()["proof"], "purpose": "login"}
    redeemed = [desk.post("/otp/redeem", proof, **KEY) for _ in range(2)]

    for first, second in (approved, redeemed):
        assert (first.status_code, second.status_code) == (200, 200)
        assert "Idempotency-Replayed" not in first.headers
        assert second.headers["Idempotency-Replayed"] == "true"
    assert approved[0].get_json()["proof"] == approved[1].get_json()["proof"]
    assert redeemed[0].get_json() == redeemed[1].get_json()


def test_other_body_under_the_same_key_is_refused(desk: Desk) -> None:
    desk.post("/otp/request", {"phone": PHONE, "purpose": "login"}, **KEY)

    answer = desk.post("/otp/request", {"phone": PHONE, "purpose": "signup"}, **KEY)

    assert problem(answer)["code"] == "idempotency_key_reused"
    assert answer.status_code == 422


def test_same_key_of_two_clients_is_two_keys(desk: Desk) -> None:
    shop = desk.post("/otp/request", {"phone": PHONE, "purpose": "login"}, **KEY)
    body = {"phone": "+8613900139000", "purpose": "transfer", "client_ip": "203.0.113.7"}
    bank = desk.post("/otp/request", body, key=fakes.BANK_KEY, **KEY)

    assert (shop.status_code, bank.status_code) == (201, 201)
    assert "Idempotency-Replayed" not in bank.headers


@pytest.mark.parametrize("key", ["", " ", "a" * 256, " padded", "caf\xe9", "a\tb"])
def test_what_is_no_key_is_refused_and_nothing_is_sent(desk: Desk, key: str) -> None:
    body = b'{"phone": "+8613800138000", "purpose": "login"}'
    answer = desk.client.post(
        "/otp/request",
        data=body,
        content_type="application/json",
        environ_overrides={
            "HTTP_AUTHORIZATION": f"Bearer {fakes.SHOP_KEY}",
            "HTTP_IDEMPOTENCY_KEY": key,
        },
    )

    assert pointers(answer) == [""]
    assert desk.house.sender.sent == []


@pytest.mark.parametrize(
    "key", ["a", "a" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "two words", "{}:*"]
)
def test_whatever_prints_is_a_key(desk: Desk, key: str) -> None:
    answers = [
        desk.post("/otp/request", {"phone": PHONE, "purpose": "login"}, Idempotency_Key=key) for _ in "12"
    ]

    assert [answer.status_code for answer in answers] == [201, 201]


def test_key_stands_in_no_event_and_no_redis_key(desk: Desk, redis: fakeredis.FakeRedis) -> None:
    desk.post("/otp/request", {"phone": PHONE, "purpose": "login"}, **KEY)

    names = b" ".join(key + (redis.get(key) or b"") for key in redis.scan_iter())
    assert b"order-17" not in names
    assert "order-17" not in str(desk.house.events.seen)


def test_calls_that_change_nothing_twice_take_no_key(desk: Desk) -> None:
    opened = {"phone": PHONE, "verification_id": desk.opened()}

    assert [desk.post("/otp/cancel", opened, **KEY).status_code for _ in range(2)] == [204, 204]
    assert "Idempotency-Replayed" not in desk.post("/otp/status", opened, **KEY).headers
