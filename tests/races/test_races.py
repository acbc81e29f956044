"""Races with two worker processes, one Redis and many parallel callers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from support.deployment import Deployment, at_once, new_phone, running_service
from support.redis_servers import Server


@pytest.fixture(scope="module")
def service(redis_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with running_service(redis_server, tmp_path_factory.mktemp("service")) as deployment:
        yield deployment


def wrong_codes(right: str, count: int) -> list[str]:
    codes = (f"{number:06d}" for number in range(count + 1))
    return [code for code in codes if code != right][:count]


def test_two_hundred_parallel_wrong_codes_are_evaluated_five_times(service: Deployment) -> None:
    phone = new_phone()
    verification_id = service.request(phone).body["verification_id"]
    guesses = wrong_codes(service.code(phone), 200)

    answers = at_once([lambda code=code: service.verify(phone, verification_id, code) for code in guesses])

    outcomes = Counter(answer.body["code"] for answer in answers)
    assert outcomes == {"wrong_code": 5, "attempts_exhausted": 195}
    assert sorted(a.body["attempts_left"] for a in answers if a.status == 422) == [0, 1, 2, 3, 4]
    assert service.verify(phone, verification_id, service.code(phone)).body["code"] == "attempts_exhausted"


@pytest.mark.parametrize("rounds", range(3))
def test_fifty_parallel_right_codes_approve_exactly_once(service: Deployment, rounds: int) -> None:
    for _ in range(10):
        phone = new_phone()
        verification_id = service.request(phone).body["verification_id"]
        right = service.code(phone)

        answers = at_once([lambda: service.verify(phone, verification_id, right)] * 50)  # noqa: B023

        assert Counter(answer.status for answer in answers) == {200: 1, 409: 49}


def test_fifty_parallel_requests_for_one_phone_send_one_sms(service: Deployment) -> None:
    phone = new_phone()

    answers = at_once([lambda: service.request(phone)] * 50)

    assert Counter(answer.status for answer in answers) == {201: 1, 429: 49}
    assert len(service.inbox(phone)) == 1
    assert {a.body["code"] for a in answers if a.status == 429} == {"cooldown_active"}


def test_fifty_parallel_redemptions_of_one_proof_succeed_once(service: Deployment) -> None:
    phone = new_phone()
    verification_id = service.request(phone).body["verification_id"]
    proof = service.verify(phone, verification_id, service.code(phone)).body["proof"]

    answers = at_once([lambda: service.post("/otp/redeem", {"proof": proof, "purpose": "login"})] * 50)

    assert Counter(answer.status for answer in answers) == {200: 1, 409: 49}


def test_budget_is_never_exceeded_by_parallel_requests(
    redis_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def small(text: str) -> str:
        # Ten of the twelve are available to unknown phones. The scope must be this test's own.
        return text.replace("[clients.shop]", "[clients.tight]").replace(
            "sms_per_day = 90000", "sms_per_day = 12"
        )

    with running_service(redis_server, tmp_path_factory.mktemp("tight"), change=small) as service:
        phones = [new_phone() for _ in range(50)]

        answers = at_once([lambda phone=phone: service.request(phone) for phone in phones])

        assert Counter(answer.status for answer in answers) == {201: 10, 429: 40}
        assert {a.body["limit"] for a in answers if a.status == 429} == {"client_sms_per_day"}
        assert sum(len(service.inbox(phone)) for phone in phones) == 10
