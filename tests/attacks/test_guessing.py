"""Guessing a code: in parallel, from many addresses, repeatedly. The counts are read from Redis."""

from __future__ import annotations

import ast
import itertools
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pytest
from attacks.target import (
    CLIENTS,
    PURPOSES,
    Answer,
    PhoneState,
    Target,
    at_once,
    in_parallel,
    new_phone,
    wrong_codes,
)
from support.call_history import DAY, HOUR, claims, guesses_by_phone, most_within
from support.deployment import workers_that_answer
from support.proof_of_work import solve
from support.waiting import eventually

import otp_service
from otp_service.web.api.routes import ENDPOINTS

PRICE_PER_SMS = 0.045
"""Yuan."""


def test_a01_two_hundred_parallel_guesses_are_evaluated_five_times(target: Target) -> None:
    phone = new_phone()
    verification_id = target.open(phone)
    right = target.code(phone)
    assert eventually(lambda: len(workers_that_answer(target.deployment)) == 2)

    answers = at_once(
        [
            lambda code=code: target.shop.verify(phone, verification_id, code)
            for code in wrong_codes(right, 200)
        ]
    )

    assert Counter(answer.body["code"] for answer in answers) == {"wrong_code": 5, "attempts_exhausted": 195}
    assert target.phone_state(phone) == PhoneState(consecutive_failures=5, sends=1, failures=5)
    assert target.record(phone, verification_id)[1:4] == b"xd\0"
    assert target.shop.verify(phone, verification_id, right).body["code"] == "attempts_exhausted"


def test_a02_parallel_right_codes_earn_one_proof(target: Target) -> None:
    for _ in range(30):
        phone = new_phone()
        verification_id = target.open(phone)
        right = target.code(phone)

        answers = at_once([lambda: target.shop.verify(phone, verification_id, right)] * 20)  # noqa: B023

        assert Counter(answer.status for answer in answers) == {200: 1, 409: 19}
        proofs = [claims(answer.body["proof"])["jti"] for answer in answers if answer.status == 200]
        assert proofs == [verification_id]
        assert target.phone_state(phone) == PhoneState(sends=1, known=True)
        assert right.encode() not in target.record(phone, verification_id)


def test_a03_used_code_is_rejected_later(movable_target: Target) -> None:
    target, phone = movable_target, new_phone()
    verification_id = target.open(phone)
    used = target.code(phone)
    assert target.shop.verify(phone, verification_id, used).status == 200

    again = []
    for wait in (0, 61, HOUR, DAY):
        target.pass_time(wait)
        again.append(target.shop.verify(phone, verification_id, used).status)
    following = target.open(phone)
    assume_other_code(target, phone, used)

    assert set(again) <= {404, 409}
    assert target.shop.verify(phone, following, used).body["code"] == "wrong_code"
    assert target.phone_state(phone).failures == 1


def assume_other_code(target: Target, phone: str, used: str) -> None:
    if target.code(phone) == used:
        pytest.skip("once in a million the next code is the same")


# ── A04: patient guessing ──


@dataclass
class PatientAttack:
    """Guesses at one phone whenever the service allows it, and records the cost."""

    target: Target
    phone: str = field(default_factory=new_phone)
    began: float = 0.0
    sms: int = 0
    challenges: int = 0
    guesses: list[float] = field(default_factory=list)
    limits_reached: dict[str, tuple[int, float, int]] = field(default_factory=dict)
    """By limit: SMS sent before it was reached, seconds since the start, and the longest wait in seconds."""

    def round(self) -> bool:
        """Request, guess five times, and wait for `Retry-After`; return False once the phone is locked."""
        answer = self.target.shop.request(self.phone)
        if answer.status == 403:  # the phone is restricted
            self.challenges += 1
            solution = solve(answer.body["challenge"])
            answer = self.target.shop.request(self.phone, risk_solution=solution)
        if answer.status == 429:
            return self.wait(answer)
        assert answer.status == 201, answer.text
        self.sms += 1
        verification_id, right = answer.body["verification_id"], self.target.code(self.phone)
        for guess in wrong_codes(right, answer.body["attempts_left"]):
            self.guesses.append(self.target.now())
            assert self.target.shop.verify(self.phone, verification_id, guess).body["code"] == "wrong_code"
        assert (
            self.target.shop.verify(self.phone, verification_id, right).body["code"] == "attempts_exhausted"
        )
        return True

    def wait(self, answer: Answer) -> bool:
        limit, seconds = answer.body["limit"], answer.body["retry_after"]
        first_sms, first_at, longest = self.limits_reached.get(
            limit, (self.sms, self.target.now() - self.began, 0)
        )
        self.limits_reached[limit] = first_sms, first_at, max(longest, seconds)
        self.target.pass_time(seconds)
        return str(limit) != "phone_locked"


@pytest.fixture(scope="module")
def patient_attack(movable_target: Target) -> PatientAttack:
    """Guess at one phone until it is locked."""
    attack = PatientAttack(movable_target)
    attack.began = movable_target.now()
    rounds = itertools.count()
    while attack.round():
        assert next(rounds) < 300, "the attack does not end"
    return attack


def test_a04_patient_attack_gets_seventy_guesses(patient_attack: PatientAttack) -> None:
    """This is the limit of untrusted calls; thirty of the hundred are reserved for the owner."""
    assert len(patient_attack.guesses) == 70
    assert most_within(patient_attack.guesses, HOUR) == 10
    assert most_within(patient_attack.guesses, DAY) == 15
    assert patient_attack.target.phone_state(patient_attack.phone).consecutive_failures == 70
    # A success has a chance of 1 in 14,000 and takes five weeks.
    assert patient_attack.guesses[-1] - patient_attack.began > 36 * DAY


def test_a04_locked_phone_is_locked_for_every_purpose_and_client(patient_attack: PatientAttack) -> None:
    target, before = patient_attack.target, len(patient_attack.target.sms(patient_attack.phone))
    # The last wait of the attack is the full 90 days, after which an attacker can start again.
    target.pass_time(-patient_attack.limits_reached["phone_locked"][2] + DAY)

    refused = [
        target.clients[client].request(patient_attack.phone, purpose=purpose)
        for client in CLIENTS
        for purpose in PURPOSES
    ]

    assert {(answer.status, answer.body["limit"]) for answer in refused} == {(429, "phone_locked")}
    assert len(target.sms(patient_attack.phone)) == before


def test_a04_resend_gives_no_new_attempts(movable_target: Target) -> None:
    target, phone = movable_target, new_phone()
    verification_id = target.open(phone)
    guesses = iter(wrong_codes(target.code(phone), 12))

    outcomes = [target.shop.verify(phone, verification_id, next(guesses)).body["code"] for _ in range(3)]
    target.pass_time(61)
    assert target.shop.resend(phone, verification_id).status == 201
    assert target.phone_state(phone) == PhoneState(consecutive_failures=3, sends=2, failures=3, live=1)
    outcomes += [target.shop.verify(phone, verification_id, next(guesses)).body["code"] for _ in range(3)]

    assert Counter(outcomes) == {"wrong_code": 5, "attempts_exhausted": 1}
    assert target.phone_state(phone) == PhoneState(consecutive_failures=5, sends=2, failures=5)


# ── A05: many clients and purposes ──


def test_a05_purposes_and_clients_share_one_count(movable_target: Target) -> None:
    """The most guesses in one day: stay below each limit, collect verifications, and guess at the end."""
    target, phone = movable_target, new_phone()
    combinations = itertools.cycle(itertools.product(CLIENTS, PURPOSES))
    plan: tuple[tuple[int, ...], ...] = ((5, 1), (5, 2), (0, 0, 0, 0))

    for guesses in plan:
        opened = [open_and_guess(target, phone, next(combinations), count) for count in guesses]
        at_once([attempt for attempts in opened for attempt in attempts])
        target.pass_time(HOUR)
    refused = [
        target.clients[client].request(phone, purpose=purpose) for client, purpose in islice(combinations, 6)
    ]

    wrong = [call for call in guesses_by_phone(target.history)[phone] if call.was_wrong]
    times = sorted(call.ended for call in wrong)
    figures = {
        "clients": len({call.client for call in wrong}),
        "SMS in a day": len(target.sms(phone)),
        "guesses in an hour": most_within(times, HOUR),
        "guesses in a day": most_within(times, DAY),
    }
    # The windows (untrusted calls: 7 an hour, 14 a day) are checked when a verification is created. Those
    # created before, at most four with five attempts each, can still be used. The count of consecutive
    # failures is exact.
    assert figures == {"clients": 3, "SMS in a day": 8, "guesses in an hour": 20, "guesses in a day": 13 + 20}
    assert {answer.body["limit"] for answer in refused} == {"phone_failures_per_day"}
    assert target.phone_state(phone) == PhoneState(consecutive_failures=33, sends=8, failures=33)


def open_and_guess(
    target: Target, phone: str, combination: tuple[str, str], count: int
) -> list[Callable[[], Answer]]:
    """Create a verification as soon as that is allowed, guess, and return the remaining attempts.

    A verification with a guess is not used again, so that the day's count stays below its limit.
    """
    client, purpose = combination
    attacker = target.clients[client]
    answer = attacker.request(phone, purpose=purpose)
    if answer.status == 429:
        target.pass_time(answer.body["retry_after"])
        answer = attacker.request(phone, purpose=purpose)
    assert answer.status == 201, answer.text
    vid = answer.body["verification_id"]
    attempts = [
        lambda guess=guess: attacker.verify(phone, vid, guess) for guess in wrong_codes(target.code(phone), 5)
    ]
    for attempt in attempts[:count]:
        attempt()
    return [] if count else attempts


def test_a05_restricting_a_victim_costs_sms_and_time(patient_attack: PatientAttack) -> None:
    """The price in SMS and in time, and the longest wait that a wrong guess causes."""
    imposed = {
        limit: {"sms": sms, "days": round(at / DAY, 2), "hours of waiting": round(wait / HOUR, 2)}
        for limit, (sms, at, wait) in patient_attack.limits_reached.items()
    }

    hour, day = imposed["phone_failures_per_hour"], imposed["phone_failures_per_day"]
    restricted, lock = imposed["phone_slow_lane"], imposed["phone_locked"]
    assert (hour["sms"], day["sms"], restricted["sms"], lock["sms"]) == (2, 3, 8, 42)
    assert hour["hours of waiting"] <= 1
    assert day["hours of waiting"] <= 24
    assert restricted["days"] > 1.9
    assert lock["days"] >= 36
    # The attack is cheap, but needs five weeks and challenges. Trusted calls are not affected.
    assert lock["sms"] * PRICE_PER_SMS < 2


def test_a05_a_bombed_phone_gets_no_untrusted_sms(movable_target: Target) -> None:
    """Aliyun's own limit is similar. The rest is reserved for trusted calls: tests/store/test_trust.py."""
    target, limits_reached = movable_target, dict[str, tuple[int, float, int]]()
    phone, began = new_phone(), target.now()
    while "phone_sends_per_day" not in limits_reached:
        answer = target.shop.request(phone, client_ip=f"198.51.100.{len(target.sms(phone))}")
        if answer.status == 429:
            limit, wait = answer.body["limit"], answer.body["retry_after"]
            limits_reached.setdefault(limit, (len(target.sms(phone)), target.now() - began, wait))
            target.pass_time(wait)
    refused = {limit: (sms, round(wait / HOUR, 1)) for limit, (sms, _, wait) in limits_reached.items()}

    assert (refused["phone_cooldown"][0], refused["phone_sends_per_hour"][0]) == (1, 4)
    assert refused["phone_sends_per_day"][0] == 8
    assert refused["phone_sends_per_hour"][1] <= 1
    assert 20 < refused["phone_sends_per_day"][1] <= 24
    assert refused["phone_sends_per_day"][0] * PRICE_PER_SMS < 0.5  # a day without SMS costs us half a yuan


# ── A06: from many addresses ──


def test_a06_a_thousand_addresses_share_five_attempts(target: Target) -> None:
    phone = new_phone()
    verification_id = target.open(phone)
    guesses = wrong_codes(target.code(phone), 1000)
    addresses = [f"198.51.{number // 250}.{number % 250 + 1}" for number in range(1000)]

    answers = in_parallel(
        [
            lambda code=code, address=address: target.shop.verify(
                phone, verification_id, code, client_ip=address
            )
            for code, address in zip(guesses, addresses, strict=True)
        ]
    )

    assert Counter(answer.body["code"] for answer in answers)["wrong_code"] == 5
    assert target.phone_state(phone).failures == 5


# ── A07: other calls ──


def test_a07_only_one_call_accepts_a_code(target: Target) -> None:
    """All other calls reject a code in their body, and use no attempt."""
    phone = new_phone()
    verification_id = target.open(phone)
    right = target.code(phone)
    body = {
        "phone": phone,
        "verification_id": verification_id,
        "code": right,
        "proof": "p",
        "purpose": "login",
    }

    for call in ENDPOINTS:
        if call.path != "/otp/verify":
            answer = target.shop.call(call.path, body)
            assert answer.body["code"] in ("invalid_request", "forbidden"), call.path

    assert [call.path for call in ENDPOINTS if "code" in call.body.model_fields] == ["/otp/verify"]
    assert posts_of(target) == {call.path for call in ENDPOINTS}
    assert target.shop.verify(phone, verification_id, right).status == 200
    assert target.phone_state(phone) == PhoneState(sends=1, known=True)


def posts_of(target: Target) -> set[str]:
    paths = target.deployment.get("/openapi.json").body["paths"]
    return {path for path, methods in paths.items() if "post" in methods}


def test_a07_one_script_compares_digests_and_one_method_runs_it() -> None:
    """A second handler without the count would need a second comparison."""
    package = Path(otp_service.__file__).parent
    comparing = [
        path.name for path in package.rglob("*.lua") if "record.digest" in compared(path.read_text())
    ]
    running = [path.name for path in package.rglob("*.py") if "attempt" in scripts_named(path)]

    assert comparing == ["attempt.lua"]
    assert running == ["verifications.py"]


def compared(source: str) -> str:
    return "\n".join(line for line in source.splitlines() if "==" in line or "~=" in line)


def scripts_named(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Call" and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant):
                yield str(name.value)


# ── A15: locking the owner out ──


def test_a15_victims_code_stays_valid_whatever_calls_a_stranger_makes(movable_target: Target) -> None:
    target, phone = movable_target, new_phone()
    held = target.open(phone, client_ip="203.0.113.1")
    code = target.code(phone)

    for _ in range(2):
        target.pass_time(61)
        burned = target.open(phone, client="bank", client_ip="198.51.100.9")
        bank, guesses = target.clients["bank"], wrong_codes(target.code(phone), 7)
        assert {bank.verify(phone, burned, guess).status for guess in guesses} == {422, 429}
        assert bank.cancel(phone, held).status == 404
        assert bank.verify(phone, held, code).status == 404
        assert target.shop.verify(phone, secrets.token_urlsafe(16), code).status == 404
    target.pass_time(61)
    assert target.shop.request(phone).body["limit"] == "phone_failures_per_hour"

    assert target.phone_state(phone) == PhoneState(consecutive_failures=10, sends=3, failures=10, live=1)
    assert target.shop.verify(phone, held, code).status == 200
    assert target.phone_state(phone).consecutive_failures == 0
