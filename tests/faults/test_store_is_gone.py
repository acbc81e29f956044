"""A store that is down, slow or silent, or whose reply is lost: a 503 in time, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from faults.ground import (
    SOON,
    Ground,
    is_refused_for_now,
    seconds,
    standing_on,
)
from faults.keeper import kept
from faults.relay import Relay
from sms.doubles import eventually
from support.deployment import new_phone
from support.redis_servers import redis_binary

# ── F01: it was never there ──


def test_f01_service_starts_without_its_store_and_serves_when_it_comes() -> None:
    with kept(redis_binary()) as keeper, Relay(keeper.port) as relay:
        keeper.kill()
        with standing_on(keeper, relay, f"redis://127.0.0.1:{relay.port}/0", page="/healthz") as ground:
            phone, opened = new_phone(), "A" * 22
            answers = ground.all_calls(phone, opened, proof="")
            answers = [answer for answer in answers if answer.body["code"] != "invalid_proof"]

            assert len(answers) == 5
            assert all(is_refused_for_now(answer) for answer in answers)
            assert is_refused_for_now(ground.service.get("/readyz"))
            assert ground.service.get("/healthz").status == 200
            assert max(call.ended - call.began for call in ground.history.calls) < SOON
            assert ground.service.inbox("") == []

            keeper.start()
            ground.end()


# ── F02–F04: it goes away in the middle ──


@pytest.mark.parametrize("script", ["precheck", "create"])
def test_f02_store_killed_before_the_slot_is_taken_sends_nothing(ground: Ground, script: str) -> None:
    phone = new_phone()
    ground.relay.before(script, ground.keeper.kill)

    answer = ground.shop.request(phone)

    assert is_refused_for_now(answer)
    assert ground.sms(phone) == []
    ground.keeper.start()


def test_f02_store_killed_before_an_attempt_approves_nothing(ground: Ground) -> None:
    phone = new_phone()
    opened = ground.open(phone)
    ground.relay.before("attempt", ground.keeper.kill)

    assert is_refused_for_now(ground.approve(phone, opened))
    ground.keeper.start()


def test_f03_lost_reply_to_the_slot_costs_the_slot_and_no_sms(ground: Ground) -> None:
    phone, before = new_phone(), ground.budget()
    ground.relay.lose_reply_to("create")

    lost = ground.shop.request(phone)
    again = ground.shop.request(phone)

    assert is_refused_for_now(lost)
    assert (again.status, again.body["code"]) == (429, "cooldown_active")
    assert 1 <= again.body["retry_after"] <= 60
    assert ground.sms(phone) == []
    assert ground.budget() == before + 1, "the slot was taken twice"


def test_f03_lost_reply_to_the_first_look_costs_nothing(ground: Ground) -> None:
    phone, before = new_phone(), ground.budget()
    ground.relay.lose_reply_to("precheck")

    lost = ground.shop.request(phone)
    again = ground.shop.request(phone)

    assert is_refused_for_now(lost)
    assert again.status == 201
    assert (len(ground.sms(phone)), ground.budget()) == (1, before + 1)


def test_f03_lost_reply_to_the_booking_still_tells_of_the_sms(ground: Ground) -> None:
    phone = new_phone()
    ground.relay.lose_reply_to("record_result")

    sent = ground.shop.request(phone)

    assert sent.status == 202
    assert len(ground.sms(phone)) == 1
    assert ground.approve(phone, sent.body["verification_id"]).status == 200


def test_f03_lost_reply_to_the_slot_is_cured_by_the_idempotency_key(ground: Ground) -> None:
    phone, key = new_phone(), {"Idempotency-Key": "same request"}
    body = {"phone": phone, "purpose": "login"}
    ground.relay.lose_reply_to("create")

    lost = ground.shop.call("/otp/request", body, **key)
    again = ground.shop.call("/otp/request", body, **key)

    assert is_refused_for_now(lost)
    assert again.status in (409, 429), "nobody knows what became of it, so nothing is sent"
    assert ground.sms(phone) == []


@pytest.mark.parametrize("call", ["verify", "redeem"])
def test_f04_lost_reply_is_cured_by_the_idempotency_key(ground: Ground, call: str) -> None:
    phone, key = new_phone(), {"Idempotency-Key": f"the same {call}"}
    opened = ground.open(phone)
    body: dict[str, str] = {"phone": phone, "verification_id": opened, "code": ground.code(phone)}
    if call == "redeem":
        body = {"proof": ground.approve(phone, opened).body["proof"], "purpose": "login"}
    ground.relay.lose_reply_to({"verify": "attempt", "redeem": "redeem"}[call])

    lost = ground.shop.call(f"/otp/{call}", body, **key)
    cured = ground.shop.call(f"/otp/{call}", body, **key)
    cured_again = ground.shop.call(f"/otp/{call}", body, **key)
    stranger = ground.shop.call(f"/otp/{call}", body)

    assert is_refused_for_now(lost)
    assert (cured.status, cured_again.status) == (200, 200)
    assert cured.body.get("proof") == cured_again.body.get("proof")
    assert (stranger.status, stranger.body["code"]) in {(409, "already_verified"), (409, "proof_redeemed")}


def test_f04_lost_reply_to_a_wrong_code_counts_one_attempt(ground: Ground) -> None:
    phone = new_phone()
    opened = ground.open(phone)
    ground.relay.lose_reply_to("attempt")

    lost = ground.shop.verify(phone, opened, "000000")
    wrong = ground.shop.verify(phone, opened, "000001")

    assert is_refused_for_now(lost)
    assert wrong.body["attempts_left"] == 3


@pytest.mark.parametrize("replies", range(4))
def test_f03_f04_connection_reset_after_any_reply_is_answered(ground: Ground, replies: int) -> None:
    phone = new_phone()
    ground.relay.cut()
    ground.relay.resets_after = replies

    answer = ground.shop.request(phone)

    assert answer.status in (201, 202) or is_refused_for_now(answer)
    assert len(ground.sms(phone)) == (1 if answer.status < 300 else 0)


# ── F05: it is slow ──


def test_f05_slow_store_is_waited_for(ground: Ground) -> None:
    phone = new_phone()
    ground.relay.delay = 0.15

    opened = ground.open(phone)

    assert ground.approve(phone, opened).status == 200


def test_f05_too_slow_store_is_given_up_and_no_connection_leaks(ground: Ground) -> None:
    phone, proof = new_phone(), ground.earn_proof()
    opened = ground.open(phone)
    before = ground.connections()
    ground.relay.delay = 1.5

    took = seconds(lambda: ground.shop.status(phone, opened))
    answers = [answer for _ in range(2) for answer in ground.all_calls(phone, opened, proof)]

    assert took < SOON
    assert all(is_refused_for_now(answer) for answer in answers)
    ground.relay.be_honest()
    ground.is_well()
    assert eventually(lambda: ground.connections() <= before + 2, 5)


def test_f05_replies_in_slices_are_put_together(ground: Ground) -> None:
    phone = new_phone()
    ground.relay.slice = 1

    opened = ground.open(phone)

    assert ground.approve(phone, opened).status == 200


def test_f05_reply_that_drips_is_given_up_in_time(ground: Ground) -> None:
    phone, proof = new_phone(), ground.earn_proof()
    opened = ground.open(phone)
    ground.relay.slice, ground.relay.drip = 1, 0.1

    answers = ground.all_calls(phone, opened, proof)
    slowest = max(call.ended - call.began for call in ground.history.calls[-len(answers) :])

    assert all(is_refused_for_now(answer) for answer in answers)
    assert slowest < SOON


# ── F06: it is silent ──


@contextmanager
def stopped(ground: Ground) -> Iterator[None]:
    ground.keeper.freeze()
    yield
    ground.keeper.thaw()


@contextmanager
def paused(ground: Ground) -> Iterator[None]:
    with ground.keeper.client() as client:
        client.client_pause(3_000, all=True)
    yield


@contextmanager
def unreachable(ground: Ground) -> Iterator[None]:
    ground.relay.freeze()
    yield
    ground.relay.thaw()


SILENCES = {"stopped": stopped, "paused": paused, "unreachable": unreachable}


@pytest.mark.parametrize("silence", SILENCES.values(), ids=SILENCES.keys())
def test_f06_silent_store_is_answered_for_in_time(
    ground: Ground, silence: Callable[[Ground], AbstractContextManager[None]]
) -> None:
    phone, proof = new_phone(), ground.earn_proof()
    opened = ground.open(phone)
    right = ground.code(phone)

    with silence(ground):
        answers = ground.all_calls(phone, opened, proof)
        slowest = max(call.ended - call.began for call in ground.history.calls[-len(answers) :])

    assert all(is_refused_for_now(answer) for answer in answers)
    assert slowest < SOON
    assert len(ground.sms()) == 2, "a call that nobody waits for has sent"
    ground.is_well()
    assert ground.shop.verify(phone, opened, right).status in (200, 410), "410: the late cancel was done"


def test_f06_slot_that_is_taken_late_sends_nothing(ground: Ground) -> None:
    phone, before = new_phone(), ground.budget()
    ground.relay.before("create", ground.keeper.freeze)

    late = ground.shop.request(phone)
    ground.keeper.thaw()

    assert is_refused_for_now(late)
    assert eventually(lambda: ground.budget() == before + 1)
    assert ground.shop.request(phone).body["code"] == "cooldown_active"
    assert ground.sms(phone) == []


def test_f06_code_approved_late_is_used_up(ground: Ground) -> None:
    phone = new_phone()
    opened = ground.open(phone)
    ground.relay.before("attempt", ground.keeper.freeze)

    late = ground.approve(phone, opened)
    ground.keeper.thaw()

    assert is_refused_for_now(late)
    assert eventually(lambda: ground.shop.status(phone, opened).body.get("status") == "approved")
    assert ground.approve(phone, opened).body["code"] == "already_verified"
