"""A store that is down, slow or silent, or whose reply is lost: a 503 in time, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from faults.harness import (
    SOON,
    Harness,
    duration,
    is_refused_for_now,
    running_on,
)
from faults.redis_process import running_redis
from faults.relay import Relay
from support.deployment import new_phone
from support.redis_servers import redis_binary
from support.waiting import eventually

# ── F01: down at the start ──


def test_f01_service_starts_without_its_store_and_serves_once_it_is_up() -> None:
    with running_redis(redis_binary()) as redis_process, Relay(redis_process.port) as relay:
        redis_process.kill()
        with running_on(
            redis_process, relay, f"redis://127.0.0.1:{relay.port}/0", page="/healthz"
        ) as harness:
            phone, opened = new_phone(), "A" * 22
            answers = harness.all_calls(phone, opened, proof="")
            answers = [answer for answer in answers if answer.body["code"] != "invalid_proof"]

            assert len(answers) == 5
            assert all(is_refused_for_now(answer) for answer in answers)
            assert is_refused_for_now(harness.service.get("/readyz"))
            assert harness.service.get("/healthz").status == 200
            assert max(call.ended - call.began for call in harness.history.calls) < SOON
            assert harness.service.inbox("") == []

            redis_process.start()
            harness.end()


# ── F02–F04: it fails during a call ──


@pytest.mark.parametrize("script", ["precheck", "create"])
def test_f02_store_killed_before_the_reservation_sends_nothing(harness: Harness, script: str) -> None:
    phone = new_phone()
    harness.relay.call_before(script, harness.redis_process.kill)

    answer = harness.shop.request(phone)

    assert is_refused_for_now(answer)
    assert harness.sms(phone) == []
    harness.redis_process.start()


def test_f02_store_killed_before_an_attempt_approves_nothing(harness: Harness) -> None:
    phone = new_phone()
    verification_id = harness.open(phone)
    harness.relay.call_before("attempt", harness.redis_process.kill)

    assert is_refused_for_now(harness.approve(phone, verification_id))
    harness.redis_process.start()


def test_f03_lost_reply_to_the_reservation_starts_the_cooldown_and_sends_nothing(harness: Harness) -> None:
    phone, before = new_phone(), harness.budget()
    harness.relay.lose_reply_to("create")

    lost = harness.shop.request(phone)
    again = harness.shop.request(phone)

    assert is_refused_for_now(lost)
    assert (again.status, again.body["code"]) == (429, "cooldown_active")
    assert 1 <= again.body["retry_after"] <= 60
    assert harness.sms(phone) == []
    assert harness.budget() == before + 1, "the SMS was counted twice"


def test_f03_lost_reply_to_the_precheck_uses_no_quota(harness: Harness) -> None:
    phone, before = new_phone(), harness.budget()
    harness.relay.lose_reply_to("precheck")

    lost = harness.shop.request(phone)
    again = harness.shop.request(phone)

    assert is_refused_for_now(lost)
    assert again.status == 201
    assert (len(harness.sms(phone)), harness.budget()) == (1, before + 1)


def test_f03_lost_reply_to_the_result_still_returns_the_verification(harness: Harness) -> None:
    phone = new_phone()
    harness.relay.lose_reply_to("record_result")

    sent = harness.shop.request(phone)

    assert sent.status == 202
    assert len(harness.sms(phone)) == 1
    assert harness.approve(phone, sent.body["verification_id"]).status == 200


def test_f03_lost_reply_to_the_reservation_is_safe_with_an_idempotency_key(harness: Harness) -> None:
    phone, key = new_phone(), {"Idempotency-Key": "same request"}
    body = {"phone": phone, "purpose": "login"}
    harness.relay.lose_reply_to("create")

    lost = harness.shop.call("/otp/request", body, **key)
    again = harness.shop.call("/otp/request", body, **key)

    assert is_refused_for_now(lost)
    assert again.status in (409, 429), "the outcome is unknown, so nothing is sent"
    assert harness.sms(phone) == []


@pytest.mark.parametrize("call", ["verify", "redeem"])
def test_f04_lost_reply_is_repeated_by_the_idempotency_key(harness: Harness, call: str) -> None:
    phone, key = new_phone(), {"Idempotency-Key": f"the same {call}"}
    verification_id = harness.open(phone)
    body: dict[str, str] = {"phone": phone, "verification_id": verification_id, "code": harness.code(phone)}
    if call == "redeem":
        body = {"proof": harness.approve(phone, verification_id).body["proof"], "purpose": "login"}
    harness.relay.lose_reply_to({"verify": "attempt", "redeem": "redeem"}[call])

    lost = harness.shop.call(f"/otp/{call}", body, **key)
    cured = harness.shop.call(f"/otp/{call}", body, **key)
    cured_again = harness.shop.call(f"/otp/{call}", body, **key)
    stranger = harness.shop.call(f"/otp/{call}", body)

    assert is_refused_for_now(lost)
    assert (cured.status, cured_again.status) == (200, 200)
    assert cured.body.get("proof") == cured_again.body.get("proof")
    assert (stranger.status, stranger.body["code"]) in {(409, "already_verified"), (409, "proof_redeemed")}


def test_f04_lost_reply_to_a_wrong_code_counts_one_attempt(harness: Harness) -> None:
    phone = new_phone()
    verification_id = harness.open(phone)
    harness.relay.lose_reply_to("attempt")

    lost = harness.shop.verify(phone, verification_id, "000000")
    wrong = harness.shop.verify(phone, verification_id, "000001")

    assert is_refused_for_now(lost)
    assert wrong.body["attempts_left"] == 3


@pytest.mark.parametrize("replies", range(4))
def test_f03_f04_connection_reset_after_any_reply_is_answered(harness: Harness, replies: int) -> None:
    phone = new_phone()
    harness.relay.cut()
    harness.relay.resets_after = replies

    answer = harness.shop.request(phone)

    assert answer.status in (201, 202) or is_refused_for_now(answer)
    assert len(harness.sms(phone)) == (1 if answer.status < 300 else 0)


# ── F05: slow ──


def test_f05_slow_store_is_waited_for(harness: Harness) -> None:
    phone = new_phone()
    harness.relay.delay = 0.15

    verification_id = harness.open(phone)

    assert harness.approve(phone, verification_id).status == 200


def test_f05_too_slow_store_is_a_503_and_no_connection_leaks(harness: Harness) -> None:
    phone, proof = new_phone(), harness.earn_proof()
    verification_id = harness.open(phone)
    before = harness.connections()
    harness.relay.delay = 1.5

    took = duration(lambda: harness.shop.status(phone, verification_id))
    answers = [answer for _ in range(2) for answer in harness.all_calls(phone, verification_id, proof)]

    assert took < SOON
    assert all(is_refused_for_now(answer) for answer in answers)
    harness.relay.clear_faults()
    harness.wait_until_healthy()
    assert eventually(lambda: harness.connections() <= before + 2, 5)


def test_f05_sliced_replies_are_reassembled(harness: Harness) -> None:
    phone = new_phone()
    harness.relay.slice = 1

    verification_id = harness.open(phone)

    assert harness.approve(phone, verification_id).status == 200


def test_f05_dripping_reply_is_a_503_in_time(harness: Harness) -> None:
    phone, proof = new_phone(), harness.earn_proof()
    verification_id = harness.open(phone)
    harness.relay.slice, harness.relay.drip = 1, 0.1

    answers = harness.all_calls(phone, verification_id, proof)
    slowest = max(call.ended - call.began for call in harness.history.calls[-len(answers) :])

    assert all(is_refused_for_now(answer) for answer in answers)
    assert slowest < SOON


# ── F06: silent ──


@contextmanager
def stopped(harness: Harness) -> Iterator[None]:
    harness.redis_process.freeze()
    yield
    harness.redis_process.thaw()


@contextmanager
def paused(harness: Harness) -> Iterator[None]:
    with harness.redis_process.client() as client:
        client.client_pause(3_000, all=True)
    yield


@contextmanager
def unreachable(harness: Harness) -> Iterator[None]:
    harness.relay.freeze()
    yield
    harness.relay.thaw()


SILENCES = {"stopped": stopped, "paused": paused, "unreachable": unreachable}


@pytest.mark.parametrize("silence", SILENCES.values(), ids=SILENCES.keys())
def test_f06_silent_store_is_a_503_in_time(
    harness: Harness, silence: Callable[[Harness], AbstractContextManager[None]]
) -> None:
    phone, proof = new_phone(), harness.earn_proof()
    verification_id = harness.open(phone)
    right = harness.code(phone)

    with silence(harness):
        answers = harness.all_calls(phone, verification_id, proof)
        slowest = max(call.ended - call.began for call in harness.history.calls[-len(answers) :])

    assert all(is_refused_for_now(answer) for answer in answers)
    assert slowest < SOON
    assert len(harness.sms()) == 2, "an abandoned call has sent an SMS"
    harness.wait_until_healthy()
    assert harness.shop.verify(phone, verification_id, right).status in (200, 410), (
        "410: the late cancel was executed"
    )


def test_f06_late_reservation_sends_nothing(harness: Harness) -> None:
    phone, before = new_phone(), harness.budget()
    harness.relay.call_before("create", harness.redis_process.freeze)

    late = harness.shop.request(phone)
    harness.redis_process.thaw()

    assert is_refused_for_now(late)
    assert eventually(lambda: harness.budget() == before + 1)
    assert harness.shop.request(phone).body["code"] == "cooldown_active"
    assert harness.sms(phone) == []


def test_f06_code_approved_late_is_used_up(harness: Harness) -> None:
    phone = new_phone()
    verification_id = harness.open(phone)
    harness.relay.call_before("attempt", harness.redis_process.freeze)

    late = harness.approve(phone, verification_id)
    harness.redis_process.thaw()

    assert is_refused_for_now(late)
    assert eventually(lambda: harness.shop.status(phone, verification_id).body.get("status") == "approved")
    assert harness.approve(phone, verification_id).body["code"] == "already_verified"
