"""Idempotency keys: knowing one reveals nothing to another caller."""

from __future__ import annotations

from collections import Counter

from attacks.target import CLIENTS, PhoneState, Target, at_once, in_parallel, new_phone, wrong_codes
from support.call_history import claims

KEY = "order-4711"


def body(phone: str) -> dict[str, str]:
    return {"phone": phone, "purpose": "login"}


def test_a34_keys_of_different_clients_are_independent(target: Target) -> None:
    phones = {client: new_phone() for client in CLIENTS}

    answers = [
        target.clients[client].call("/otp/request", body(phones[client]), Idempotency_Key=KEY)
        for client in CLIENTS
    ]

    assert {answer.status for answer in answers} == {201}
    assert len({answer.body["verification_id"] for answer in answers}) == len(CLIENTS)
    assert [len(target.sms(phone)) for phone in phones.values()] == [1, 1, 1]


def test_a34_stolen_key_reveals_no_verification(target: Target) -> None:
    """The same call with the same key by another client."""
    phone = new_phone()
    mine = target.shop.call("/otp/request", body(phone), Idempotency_Key=KEY + phone)

    stolen = target.clients["bank"].call("/otp/request", body(phone), Idempotency_Key=KEY + phone)

    assert (stolen.status, stolen.body["code"]) == (429, "cooldown_active")
    assert mine.body["verification_id"] not in stolen.text
    assert len(target.sms(phone)) == 1


def test_a34_stolen_key_reveals_no_proof(target: Target) -> None:
    phone = new_phone()
    verification_id = target.open(phone)
    right = target.code(phone)
    submitted = {"phone": phone, "verification_id": verification_id, "code": right}
    key = KEY + phone
    proof = target.shop.call("/otp/verify", submitted, Idempotency_Key=key).body["proof"]
    used = {"proof": proof, "purpose": "login"}
    assert target.shop.call("/otp/redeem", used, Idempotency_Key=key).status == 200

    for client in ("bank", "forum"):
        stranger = target.clients[client]
        assert (
            stranger.call("/otp/verify", submitted, Idempotency_Key=key).body["code"]
            == "verification_not_found"
        )
        assert stranger.call("/otp/redeem", used, Idempotency_Key=key).body["code"] == "invalid_proof"
    # Nor the same client with another code, which is another payload.
    other = {**submitted, "code": wrong_codes(right, 1)[0]}
    assert (
        target.shop.call("/otp/verify", other, Idempotency_Key=key).body["code"] == "idempotency_key_reused"
    )
    # The owner gets the same answer again.
    again = target.shop.call("/otp/verify", submitted, Idempotency_Key=key)
    assert claims(again.body["proof"])["jti"] == verification_id
    assert again.body["proof"] == proof
    assert target.phone_state(phone) == PhoneState(sends=1, known=True)


def test_a34_parallel_calls_with_one_key_send_one_sms(target: Target) -> None:
    phone = new_phone()

    answers = at_once(
        [lambda: target.shop.call("/otp/request", body(phone), Idempotency_Key=KEY + phone)] * 20
    )

    assert Counter(answer.status for answer in answers).keys() <= {201, 409}
    assert len({answer.body["verification_id"] for answer in answers if answer.status == 201}) == 1
    assert len(target.sms(phone)) == 1
    assert target.phone_state(phone).sends == 1


def test_a34_key_gives_no_second_guess(target: Target) -> None:
    """With one key or many, every answered wrong code was counted."""
    phone = new_phone()
    verification_id = target.open(phone)
    guesses = wrong_codes(target.code(phone), 8)

    answers = in_parallel(
        [
            lambda guess=guess, key=key: target.shop.call(
                "/otp/verify",
                {"phone": phone, "verification_id": verification_id, "code": guess},
                Idempotency_Key=f"{phone}{key}",
            )
            for guess in guesses
            for key in ("same", f"own-{guess}")
        ],
        threads=4,
    )

    assert Counter(answer.body["code"] for answer in answers)["wrong_code"] == 5
    assert target.phone_state(phone).failures == 5


def test_a34_stored_key_does_not_reveal_the_key(target: Target) -> None:
    phone = new_phone()
    key = f"{KEY}-{phone[1:]}"
    target.shop.call("/otp/request", body(phone), Idempotency_Key=key)

    with target.redis.client() as client:
        kept = {name: client.get(name) or b"" for name in client.scan_iter("otp:claim:*")}

    assert kept
    assert [name for name, value in kept.items() if key.encode() in name + value] == []
    assert key not in target.log()
