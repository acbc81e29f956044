"""The `Idempotency-Key` header and the header of repeated answers."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import fakeredis
import pytest
from support import fakes
from support.events import RecordingEvents
from web.web_app import PHONE, WebApp, open_web_app, pointers, problem

from otp_service.store.verifications import RedisStore

KEY = {"Idempotency_Key": "0b36ee45-7b7a-4f5d-9c3e-order-17"}


@pytest.fixture
def redis() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis()


@pytest.fixture
def web_app(redis: fakeredis.FakeRedis) -> WebApp:
    return open_web_app(fakes.harness(store=RedisStore(redis, RecordingEvents(), shebang=False)))


def test_repeated_request_gets_the_same_answer_marked_as_replayed(web_app: WebApp) -> None:
    first = web_app.post("/otp/request", {"phone": PHONE, "purpose": "login"}, **KEY)
    second = web_app.post("/otp/request", {"purpose": "login", "phone": PHONE}, **KEY)

    answered, again = first.get_json(), second.get_json()
    for relative in ("expires_in", "resend_in"):
        assert again.pop(relative) <= answered.pop(relative)
    assert (first.status_code, second.status_code) == (201, 201)
    assert again == answered
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(web_app.harness.sender.sent) == 1


def test_every_call_with_idempotency_marks_replays(web_app: WebApp) -> None:
    opened = {"phone": PHONE, "verification_id": web_app.open_verification()}
    code = {**opened, "code": web_app.harness.sender.last_code}
    approved = [web_app.post("/otp/verify", code, **KEY) for _ in range(2)]
    proof = {"proof": approved[0].get_json()["proof"], "purpose": "login"}
    redeemed = [web_app.post("/otp/redeem", proof, **KEY) for _ in range(2)]

    for first, second in (approved, redeemed):
        assert (first.status_code, second.status_code) == (200, 200)
        assert "Idempotency-Replayed" not in first.headers
        assert second.headers["Idempotency-Replayed"] == "true"
    assert approved[0].get_json()["proof"] == approved[1].get_json()["proof"]
    assert redeemed[0].get_json() == redeemed[1].get_json()


def test_other_body_under_the_same_key_is_refused(web_app: WebApp) -> None:
    web_app.post("/otp/request", {"phone": PHONE, "purpose": "login"}, **KEY)

    answer = web_app.post("/otp/request", {"phone": PHONE, "purpose": "signup"}, **KEY)

    assert problem(answer)["code"] == "idempotency_key_reused"
    assert answer.status_code == 422


def test_keys_of_two_clients_are_independent(web_app: WebApp) -> None:
    shop = web_app.post("/otp/request", {"phone": PHONE, "purpose": "login"}, **KEY)
    body = {"phone": "+8613900139000", "purpose": "transfer", "client_ip": "203.0.113.7"}
    bank = web_app.post("/otp/request", body, key=fakes.BANK_KEY, **KEY)

    assert (shop.status_code, bank.status_code) == (201, 201)
    assert "Idempotency-Replayed" not in bank.headers


PUBLISHABLE_KEY = "pk_shop-0123456789abcdefghijklmnop"
PAGE = "https://shop.example"
CALLERS = {"server": {}, "browser 1": {"REMOTE_ADDR": "192.0.2.1"}, "browser 2": {"REMOTE_ADDR": "192.0.2.2"}}


def request_as(web_app: WebApp, caller: str, body: bytes, idempotency_key: str) -> dict[str, object]:
    """Call `/otp/request` with a secret key, or with the publishable key from one of two addresses."""
    connection = CALLERS[caller]
    headers = {"Idempotency-Key": idempotency_key, "Authorization": f"Bearer {fakes.SHOP_KEY}"}
    if connection:
        headers |= {"Authorization": f"Bearer {PUBLISHABLE_KEY}", "Origin": PAGE}
    answer = web_app.client.post(
        "/otp/request",
        data=body,
        headers=headers,
        content_type="application/json",
        environ_overrides=connection,
    )
    return {**answer.json, "status": answer.status_code, "replayed": "Idempotency-Replayed" in answer.headers}


@pytest.fixture
def open_shop(redis: fakeredis.FakeRedis) -> WebApp:
    """A shop whose pages call with a publishable key."""
    shop = replace(fakes.SHOP, publishable_key=PUBLISHABLE_KEY, origins=frozenset({PAGE}))
    return open_web_app(
        fakes.harness(shop, fakes.BANK, store=RedisStore(redis, RecordingEvents(), shebang=False))
    )


@pytest.mark.parametrize(
    ("second_phone", "second_status"),
    [("+8613800138000", 429), ("+8613900139000", 201)],
    ids=["same body, so the cooldown", "other body"],
)
@pytest.mark.parametrize("order", list(permutations(CALLERS, 2)), ids=" then ".join)
def test_a37_key_of_one_caller_has_no_effect_for_another(
    open_shop: WebApp, order: tuple[str, str], second_phone: str, second_status: int
) -> None:
    """The second caller does not get the first one's verification, and its call is not rejected."""
    first_body = b'{"phone": "+8613800138000", "purpose": "login"}'
    second_body = first_body.replace(b"+8613800138000", second_phone.encode())
    key = KEY["Idempotency_Key"]

    first, second = (
        request_as(open_shop, order[0], first_body, key),
        request_as(open_shop, order[1], second_body, key),
    )

    assert (first["status"], first["replayed"], second["replayed"]) == (201, False, False)
    assert second["status"] == second_status
    assert second.get("verification_id") != first["verification_id"]


@pytest.mark.parametrize("caller", CALLERS)
def test_a_caller_gets_its_own_answer_again(open_shop: WebApp, caller: str) -> None:
    body, key = b'{"phone": "+8613800138000", "purpose": "login"}', KEY["Idempotency_Key"]

    first, second = (request_as(open_shop, caller, body, key) for _ in range(2))

    assert (second["status"], second["replayed"]) == (201, True)
    assert second["verification_id"] == first["verification_id"]


@pytest.mark.parametrize(
    ("caller", "length", "status"),
    [("server", 1, 201), ("browser 1", 15, 400), ("browser 1", 16, 201)],
)
def test_publishable_key_accepts_no_short_idempotency_key(
    open_shop: WebApp, caller: str, length: int, status: int
) -> None:
    answer = request_as(open_shop, caller, b'{"phone": "+8613800138000", "purpose": "login"}', "k" * length)

    assert answer["status"] == status
    assert len(open_shop.harness.sender.sent) == (status == 201)


@pytest.mark.parametrize("key", ["", " ", "a" * 256, " padded", "caf\xe9", "a\tb"])
def test_malformed_key_is_rejected_and_nothing_is_sent(web_app: WebApp, key: str) -> None:
    body = b'{"phone": "+8613800138000", "purpose": "login"}'
    answer = web_app.client.post(
        "/otp/request",
        data=body,
        content_type="application/json",
        environ_overrides={
            "HTTP_AUTHORIZATION": f"Bearer {fakes.SHOP_KEY}",
            "HTTP_IDEMPOTENCY_KEY": key,
        },
    )

    assert pointers(answer) == [""]
    assert web_app.harness.sender.sent == []


@pytest.mark.parametrize(
    "key", ["a", "a" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "two words", "{}:*"]
)
def test_any_printable_text_is_a_key(web_app: WebApp, key: str) -> None:
    answers = [
        web_app.post("/otp/request", {"phone": PHONE, "purpose": "login"}, Idempotency_Key=key) for _ in "12"
    ]

    assert [answer.status_code for answer in answers] == [201, 201]


def test_key_is_in_no_event_and_no_redis_key(web_app: WebApp, redis: fakeredis.FakeRedis) -> None:
    web_app.post("/otp/request", {"phone": PHONE, "purpose": "login"}, **KEY)

    names = b" ".join(key + (redis.get(key) or b"") for key in redis.scan_iter())
    assert b"order-17" not in names
    assert "order-17" not in str(web_app.harness.events.emitted)


def test_idempotent_calls_accept_no_key(web_app: WebApp) -> None:
    opened = {"phone": PHONE, "verification_id": web_app.open_verification()}

    assert [web_app.post("/otp/cancel", opened, **KEY).status_code for _ in range(2)] == [204, 204]
    assert "Idempotency-Replayed" not in web_app.post("/otp/status", opened, **KEY).headers
