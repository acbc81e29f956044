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
    Row,
    Target,
    at_once,
    in_turns,
    new_phone,
    wrong_codes,
)
from sms.doubles import eventually
from support.call_history import DAY, HOUR, claims, guesses_by_phone, most_within
from support.deployment import workers_that_answer
from support.proof_of_work import solve

import otp_service
from otp_service.web.api.routes import ENDPOINTS

PRICE_PER_SMS = 0.045
"""Yuan."""


def test_a01_two_hundred_parallel_guesses_are_evaluated_five_times(target: Target) -> None:
    phone = new_phone()
    opened = target.open(phone)
    right = target.code(phone)
    assert eventually(lambda: len(workers_that_answer(target.deployment)) == 2)

    answers = at_once(
        [lambda code=code: target.shop.verify(phone, opened, code) for code in wrong_codes(right, 200)]
    )

    assert Counter(answer.body["code"] for answer in answers) == {"wrong_code": 5, "attempts_exhausted": 195}
    assert target.row(phone) == Row(consecutive_failures=5, sends=1, failures=5)
    assert target.record(phone, opened)[1:4] == b"xd\0"
    assert target.shop.verify(phone, opened, right).body["code"] == "attempts_exhausted"


def test_a02_parallel_right_codes_earn_one_proof(target: Target) -> None:
    for _ in range(30):
        phone = new_phone()
        opened = target.open(phone)
        right = target.code(phone)

        answers = at_once([lambda: target.shop.verify(phone, opened, right)] * 20)  # noqa: B023

        assert Counter(answer.status for answer in answers) == {200: 1, 409: 19}
        proofs = [claims(answer.body["proof"])["jti"] for answer in answers if answer.status == 200]
        assert proofs == [opened]
        assert target.row(phone) == Row(sends=1, known=True)
        assert right.encode() not in target.record(phone, opened)


def test_a03_a_used_code_is_worth_nothing_later(movable_target: Target) -> None:
    target, phone = movable_target, new_phone()
    opened = target.open(phone)
    used = target.code(phone)
    assert target.shop.verify(phone, opened, used).status == 200

    again = []
    for wait in (0, 61, HOUR, DAY):
        target.pass_time(wait)
        again.append(target.shop.verify(phone, opened, used).status)
    following = target.open(phone)
    assume_other_code(target, phone, used)

    assert set(again) <= {404, 409}
    assert target.shop.verify(phone, following, used).body["code"] == "wrong_code"
    assert target.row(phone).failures == 1


def assume_other_code(target: Target, phone: str, used: str) -> None:
    if target.code(phone) == used:
        pytest.skip("once in a million the next code is the same")


# ── A04: for as long as it takes ──


@dataclass
class Siege:
    """One attacker who guesses at one phone whenever the service allows it, and the cost."""

    target: Target
    phone: str = field(default_factory=new_phone)
    began: float = 0.0
    sms: int = 0
    challenges: int = 0
    guesses: list[float] = field(default_factory=list)
    walls: dict[str, tuple[int, float, int]] = field(default_factory=dict)
    """Each limit that was reached: SMS before it, seconds since the start, the longest wait in seconds."""

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
        opened, right = answer.body["verification_id"], self.target.code(self.phone)
        for guess in wrong_codes(right, answer.body["attempts_left"]):
            self.guesses.append(self.target.now())
            assert self.target.shop.verify(self.phone, opened, guess).body["code"] == "wrong_code"
        assert self.target.shop.verify(self.phone, opened, right).body["code"] == "attempts_exhausted"
        return True

    def wait(self, answer: Answer) -> bool:
        limit, seconds = answer.body["limit"], answer.body["retry_after"]
        first_sms, first_at, longest = self.walls.get(limit, (self.sms, self.target.now() - self.began, 0))
        self.walls[limit] = first_sms, first_at, max(longest, seconds)
        self.target.pass_time(seconds)
        return str(limit) != "phone_locked"


@pytest.fixture(scope="module")
def siege(movable_target: Target) -> Siege:
    """Guess at one phone until it is locked."""
    made = Siege(movable_target)
    made.began = movable_target.now()
    rounds = itertools.count()
    while made.round():
        assert next(rounds) < 300, "the siege has no end"
    return made


def test_a04_a_siege_gets_seventy_guesses_and_no_more(siege: Siege) -> None:
    """This is the limit of untrusted calls; thirty of the hundred are reserved for the owner."""
    assert len(siege.guesses) == 70
    assert most_within(siege.guesses, HOUR) == 10
    assert most_within(siege.guesses, DAY) == 15
    assert siege.target.row(siege.phone).consecutive_failures == 70
    # It takes luck of 1 in 14,000, and five weeks.
    assert siege.guesses[-1] - siege.began > 36 * DAY


def test_a04_a_locked_phone_stays_locked_for_every_purpose_and_client(siege: Siege) -> None:
    target, before = siege.target, len(siege.target.sms(siege.phone))
    # The last wait of the siege is the whole 90 days, after which an attacker may begin anew.
    target.pass_time(-siege.walls["phone_locked"][2] + DAY)

    refused = [
        target.clients[client].request(siege.phone, purpose=purpose)
        for client in CLIENTS
        for purpose in PURPOSES
    ]

    assert {(answer.status, answer.body["limit"]) for answer in refused} == {(429, "phone_locked")}
    assert len(target.sms(siege.phone)) == before


def test_a04_a_resend_brings_no_fresh_attempts(movable_target: Target) -> None:
    target, phone = movable_target, new_phone()
    opened = target.open(phone)
    guesses = iter(wrong_codes(target.code(phone), 12))

    outcomes = [target.shop.verify(phone, opened, next(guesses)).body["code"] for _ in range(3)]
    target.pass_time(61)
    assert target.shop.resend(phone, opened).status == 201
    assert target.row(phone) == Row(consecutive_failures=3, sends=2, failures=3, live=1)
    outcomes += [target.shop.verify(phone, opened, next(guesses)).body["code"] for _ in range(3)]

    assert Counter(outcomes) == {"wrong_code": 5, "attempts_exhausted": 1}
    assert target.row(phone) == Row(consecutive_failures=5, sends=2, failures=5)


# ── A05: many doors ──


def test_a05_purposes_and_clients_share_one_count(movable_target: Target) -> None:
    """The most guesses in one day: stay below each limit, collect verifications, and guess at the end."""
    target, phone = movable_target, new_phone()
    doors = itertools.cycle(itertools.product(CLIENTS, PURPOSES))
    plan: tuple[tuple[int, ...], ...] = ((5, 1), (5, 2), (0, 0, 0, 0))

    for guesses in plan:
        opened = [open_and_guess(target, phone, next(doors), count) for count in guesses]
        at_once([attempt for attempts in opened for attempt in attempts])
        target.pass_time(HOUR)
    refused = [target.clients[client].request(phone, purpose=purpose) for client, purpose in islice(doors, 6)]

    wrong = [call for call in guesses_by_phone(target.history)[phone] if call.was_wrong]
    times = sorted(call.ended for call in wrong)
    figures = {
        "clients": len({call.client for call in wrong}),
        "SMS in a day": len(target.sms(phone)),
        "guesses in an hour": most_within(times, HOUR),
        "guesses in a day": most_within(times, DAY),
    }
    # The windows (untrusted calls: 7 an hour, 14 a day) are looked at when a verification is opened: what was
    # opened before, four verifications of five attempts at a time, may still be used up. The count in a row
    # is exact.
    assert figures == {"clients": 3, "SMS in a day": 8, "guesses in an hour": 20, "guesses in a day": 13 + 20}
    assert {answer.body["limit"] for answer in refused} == {"phone_failures_per_day"}
    assert target.row(phone) == Row(consecutive_failures=33, sends=8, failures=33)


def open_and_guess(
    target: Target, phone: str, door: tuple[str, str], count: int
) -> list[Callable[[], Answer]]:
    """Open a verification by *door* as soon as that is allowed, guess, and return the attempts still to come.

    A verification that was guessed at is left alone, so that the day's count stops short of its limit.
    """
    client, purpose = door
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


def test_a05_what_can_be_imposed_on_a_victim_has_its_price(siege: Siege) -> None:
    """The price in SMS and in time, and the longest wait that a wrong guess causes."""
    imposed = {
        limit: {"sms": sms, "days": round(at / DAY, 2), "hours of waiting": round(wait / HOUR, 2)}
        for limit, (sms, at, wait) in siege.walls.items()
    }

    hour, day = imposed["phone_failures_per_hour"], imposed["phone_failures_per_day"]
    slow, lock = imposed["phone_slow_lane"], imposed["phone_locked"]
    assert (hour["sms"], day["sms"], slow["sms"], lock["sms"]) == (2, 3, 8, 42)
    assert hour["hours of waiting"] <= 1
    assert day["hours of waiting"] <= 24
    assert slow["days"] > 1.9
    assert lock["days"] >= 36
    # Cheap: it is the five weeks, and the challenge, that guard. Trusted calls are not touched by any of it.
    assert lock["sms"] * PRICE_PER_SMS < 2


def test_a05_a_bombed_phone_gets_no_untrusted_sms(movable_target: Target) -> None:
    """Aliyun allows hardly more. The rest is reserved for trusted calls: tests/store/test_trust.py."""
    target, walls = movable_target, dict[str, tuple[int, float, int]]()
    phone, began = new_phone(), target.now()
    while "phone_sends_per_day" not in walls:
        answer = target.shop.request(phone, client_ip=f"198.51.100.{len(target.sms(phone))}")
        if answer.status == 429:
            limit, wait = answer.body["limit"], answer.body["retry_after"]
            walls.setdefault(limit, (len(target.sms(phone)), target.now() - began, wait))
            target.pass_time(wait)
    refused = {limit: (sms, round(wait / HOUR, 1)) for limit, (sms, _, wait) in walls.items()}

    assert (refused["phone_cooldown"][0], refused["phone_sends_per_hour"][0]) == (1, 4)
    assert refused["phone_sends_per_day"][0] == 8
    assert refused["phone_sends_per_hour"][1] <= 1
    assert 20 < refused["phone_sends_per_day"][1] <= 24
    assert refused["phone_sends_per_day"][0] * PRICE_PER_SMS < 0.5  # A day's silence costs us half a yuan.


# ── A06: from everywhere ──


def test_a06_a_thousand_addresses_share_five_attempts(target: Target) -> None:
    phone = new_phone()
    opened = target.open(phone)
    guesses = wrong_codes(target.code(phone), 1000)
    addresses = [f"198.51.{number // 250}.{number % 250 + 1}" for number in range(1000)]

    answers = in_turns(
        [
            lambda code=code, address=address: target.shop.verify(phone, opened, code, client_ip=address)
            for code, address in zip(guesses, addresses, strict=True)
        ]
    )

    assert Counter(answer.body["code"] for answer in answers)["wrong_code"] == 5
    assert target.row(phone).failures == 5


# ── A07: no way around ──


def test_a07_a_code_is_taken_by_one_call_only(target: Target) -> None:
    """All other calls reject a code in their body, and use no attempt."""
    phone = new_phone()
    opened = target.open(phone)
    right = target.code(phone)
    body = {"phone": phone, "verification_id": opened, "code": right, "proof": "p", "purpose": "login"}

    for call in ENDPOINTS:
        if call.path != "/otp/verify":
            answer = target.shop.call(call.path, body)
            assert answer.body["code"] in ("invalid_request", "forbidden"), call.path

    assert [call.path for call in ENDPOINTS if "code" in call.body.model_fields] == ["/otp/verify"]
    assert posts_of(target) == {call.path for call in ENDPOINTS}
    assert target.shop.verify(phone, opened, right).status == 200
    assert target.row(phone) == Row(sends=1, known=True)


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


def test_a15_a_victims_code_survives_what_a_stranger_does_to_the_number(movable_target: Target) -> None:
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

    assert target.row(phone) == Row(consecutive_failures=10, sends=3, failures=10, live=1)
    assert target.shop.verify(phone, held, code).status == 200
    assert target.row(phone).consecutive_failures == 0
