"""SMS pumping: SMS that only cost money, and a budget that is used up so that users get none."""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from attacks.target import Target, in_parallel, new_phone, running_target
from support.proof_of_work import solve

BUDGET = 40
RESERVED_FOR_KNOWN = 8


def numbers_of_a_new_prefix() -> Iterator[str]:
    """Yield numbers with one prefix of seven digits."""
    prefix = f"+86138{2000 + secrets.randbelow(7000)}"
    numbers = list(range(10_000))
    secrets.SystemRandom().shuffle(numbers)
    return (f"{prefix}{number:04d}" for number in numbers)


# ── A13 ──


def events(target: Target, name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in target.log().splitlines() if f'"{name}"' in line]
    return [line for line in lines if line["event"] == name]


def pump(target: Target, numbers: Iterator[str], count: int) -> Counter[str]:
    """Request SMS to *count* of *numbers* from fifty IP addresses; verify none."""
    answers = in_parallel(
        [
            lambda phone=phone, place=place: target.shop.request(
                phone, client_ip=f"198.18.0.{place % 50 + 1}"
            )
            for place, phone in zip(range(count), numbers, strict=False)
        ]
    )
    return Counter(answer.body.get("code", "sent") for answer in answers)


def test_a13_pumping_one_prefix_is_logged(movable_target: Target) -> None:
    """By default the guard only logs what it would do; it must do so before the attack gets expensive."""
    target, numbers = movable_target, numbers_of_a_new_prefix()

    outcomes = pump(target, numbers, 25)
    wait_for(lambda: 25 in counted(target, b"prefix:"))
    target.pass_time(240)  # for three minutes none of them is verified
    outcomes += pump(target, numbers, 2)

    wait_for(lambda: "prefix" in tripped_scopes(target))
    assert outcomes == {"sent": 27}
    would_have = [
        event
        for event in events(target, "pumping_guard_state_changed")
        if event["scope"].startswith("prefix:")
    ]
    assert {event["action"] for event in would_have} == {"challenge"}
    assert {event["verified"] for event in would_have} == {0}


@pytest.fixture
def target_with_guard() -> Iterator[Target]:
    """A target with an enforced guard, separate because pumping affects all tests that share it."""
    with running_target(
        change=lambda text: f'{text}\n[pumping_guard]\nmode = "enforce"\n', movable=True
    ) as running:
        yield running


def test_a13_enforced_guard_stops_pumping_before_thirty_sms(target_with_guard: Target) -> None:
    """A pumped number solves no challenge; an attacker who solves challenges is blocked a little later."""
    target, numbers = target_with_guard, numbers_of_a_new_prefix()

    outcomes = pump(target, numbers, 20)
    target.pass_time(240)
    outcomes += pump(target, numbers, 180)

    assert outcomes["sent"] < 30
    assert outcomes["sent"] == len(target.sms())
    assert outcomes.keys() <= {"sent", "challenge_required", "destination_blocked"}
    # Another prefix needs at most a challenge, although the country is over its threshold too.
    known = new_phone()
    assert target.shop.request(known, known_phone=True).status == 201


def test_a13_solved_challenges_do_not_keep_pumping_going(target_with_guard: Target) -> None:
    target, numbers = target_with_guard, numbers_of_a_new_prefix()

    outcomes = Counter(solving(target, phone) for phone, _ in zip(numbers, range(130), strict=False))

    # Blocked beyond 60 unverified SMS; the newest ones, whose outcome is open, count half.
    assert 60 < outcomes["sent"] <= 2 * 60 + 1
    assert outcomes["sent"] == len(target.sms())
    assert outcomes["destination_blocked"] == 130 - outcomes["sent"]


def solving(target: Target, phone: str) -> str:
    """Request an SMS, solve the challenge if there is one, and return the outcome."""
    answer = target.shop.request(phone)
    if answer.body.get("code") == "challenge_required":
        answer = target.shop.request(phone, risk_solution=solve(answer.body["challenge"]))
    return str(answer.body.get("code", "sent"))


def counted(target: Target, kind: bytes) -> list[int]:
    """Return today's sends of each scope of that *kind*, as `conversion_stats.lua` counts them."""
    with target.redis.client() as client:
        kept = [client.get(key) or b"" for key in client.scan_iter(b"otp:guard:{" + kind + b"*")]
    return [
        sum(int.from_bytes(value[at : at + 3], "big") for at in range(6, 2 + 10 * value[1], 10))
        for value in kept
    ]


def tripped_scopes(target: Target) -> set[str]:
    return {str(event["scope"]).partition(":")[0] for event in events(target, "pumping_guard_state_changed")}


def wait_for(ready: Any) -> None:
    deadline = time.monotonic() + 10
    while not ready():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


# ── A14 ──


@pytest.fixture(scope="module")
def poor_target() -> Iterator[Target]:
    """A target whose shop has a small budget."""

    def poor(text: str) -> str:
        return text.replace("sms_per_day = 90000", f"sms_per_day = {BUDGET}")

    with running_target(change=poor, movable=True) as running:
        yield running


def test_a14_exhausted_budget_still_serves_known_phones(poor_target: Target) -> None:
    target = poor_target
    known = [new_phone() for _ in range(6)]
    for phone in known:
        verification_id = target.open(phone)
        assert target.shop.verify(phone, verification_id, target.code(phone)).status == 200
    target.pass_time(3600)

    burned = in_parallel([lambda: target.shop.request(new_phone()) for _ in range(60)])
    served = [target.shop.request(phone) for phone in known]

    spent = Counter(answer.body.get("limit", "sent") for answer in burned)
    assert spent == {
        "sent": BUDGET - RESERVED_FOR_KNOWN - len(known),
        "client_sms_per_day": 60 - spent["sent"],
    }
    assert {answer.status for answer in served} == {201}
    assert len(target.sms()) == BUDGET - RESERVED_FOR_KNOWN + len(known)
    # Another client has a budget of its own.
    assert target.clients["bank"].request(new_phone()).status in (201, 429)


def test_a14_clients_have_separate_budgets(poor_target: Target) -> None:
    assert poor_target.clients["bank"].request(new_phone()).status == 201
    with poor_target.redis.client() as client:
        taken = {key: int((client.get(key) or b"0 0").split()[1]) for key in client.scan_iter("otp:budget:*")}

    assert taken[b"otp:budget:{sms}:service"] == sum(
        count for key, count in taken.items() if key != b"otp:budget:{sms}:service"
    )
