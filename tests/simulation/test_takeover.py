"""The arithmetic of the limits, put to the test: thirty days of guessing at codes of two digits.

With N codes, k guesses at one of them are right with k/N. What the limits allow in thirty days is known, so
the share of phones that are taken over is too: it must lie within four sigma of that. By chance it fails to
once in 16,000 times, but the seed is fixed. N only scales: six digits divide all of it by 10,000.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from random import Random  # noqa: TID251 - luck that is the same every time

import pytest
import redis
from simulation.attacker import (
    DAY,
    DAYS,
    LENGTH,
    LIMITS,
    Attacker,
    N,
    Strategy,
    World,
    parallel,
    siege,
    siege_by_all_doors,
    siege_with_resends,
    spray,
)
from support.fakes import FakeEvents
from support.redis_servers import redis_binary, running
from support.service_on_redis import START, StagedRunner, Timeline

from otp_service.domain import codes
from otp_service.domain.errors import InvalidCode
from otp_service.domain.limits import CodeLimits
from otp_service.store.verifications import RedisStore

PHONES = 100
SPRAYED = 1_000

ATTEMPTS = CodeLimits().max_attempts
SLOW_AT = LIMITS.untrusted_failures(LIMITS.restrict_after_failures)
LOCKED_AT = LIMITS.untrusted_failures(LIMITS.lock_after_failures)
FAST = SLOW_AT // ATTEMPTS
"""Verifications before the slow lane, all of whose attempts were wrong."""

FAILURES_PER_DAY = math.ceil(LIMITS.untrusted_failures(LIMITS.failures_per_day) / ATTEMPTS) * ATTEMPTS
"""The window is looked at when a verification is opened, so that the last one's attempts may go beyond it."""

DAYS_UNTIL_SLOW = (SLOW_AT - 1) // FAILURES_PER_DAY
"""Days to wait for that: on the first and each one after, so many failures fit."""


def schedule_of(clients: int) -> list[int]:
    """Return what a siege gets by so many clients, verification by verification.

    That is a day's failures a day, then one guess a day and client, until strangers are locked out.
    """
    slow = min(clients * (DAYS - DAYS_UNTIL_SLOW), LOCKED_AT - SLOW_AT)
    return [ATTEMPTS] * FAST + [1] * slow


SIEGE = schedule_of(clients=1)

RESET = "local result, attempts, restricted = open_verdict"
RESET_ON_OPEN = {"create": (RESET, f"phone.untrusted_failures, phone.failures = 0, {{}}\n{RESET}")}
RESEND = "table.insert(record.sends, {state = 's', at = now, route = ''})"
RESET_ON_RESEND = {
    "reserve_resend": (
        RESEND,
        "phone.untrusted_failures, phone.failures, record.attempts_left = 0, {}, record.attempts_allowed\n"
        + RESEND,
    )
}


@pytest.fixture(scope="module")
def client() -> Iterator[redis.Redis]:
    with running(redis_binary()) as server, server.client() as connected:
        yield connected


def attack(
    client: redis.Redis,
    strategy: Strategy,
    phones: int = PHONES,
    mutant: dict[str, tuple[str, str]] | None = None,
) -> list[Attacker]:
    """Let each of *phones* be attacked for thirty days; return how that went."""
    client.flushall()
    store = RedisStore(client, FakeEvents())
    runner = StagedRunner(client, mutant)
    store.redis.scripts = runner
    timeline = Timeline(runner, tick=60)
    luck = Random(20261124)  # noqa: S311 - as above
    world = World(store, timeline, luck, START + DAYS * DAY)
    attackers = [Attacker(world, f"+86138{number:08d}") for number in range(phones)]
    for attacker in attackers:
        timeline.tell(0, strategy(attacker))
    timeline.play()
    assert timeline.refusals == []
    return attackers


def taken(attackers: Sequence[Attacker]) -> int:
    return sum(attacker.won for attacker in attackers)


def whole(attackers: Sequence[Attacker]) -> list[int]:
    """Return what an attacker got who was never lucky: it is the same for all of them."""
    schedules = {tuple(attacker.wrong) for attacker in attackers if not attacker.won}
    (schedule,) = schedules
    return list(schedule)


def chance(guesses: Sequence[int]) -> float:
    """Return how likely one of so many *guesses* at each of several codes is right."""
    return 1 - math.prod(1 - count / N for count in guesses)


def sigmas(attackers: Sequence[Attacker], expected: float) -> float:
    """Return by how many sigma more were taken over than *expected* says."""
    count = len(attackers)
    return (taken(attackers) - count * expected) / math.sqrt(count * expected * (1 - expected))


@pytest.mark.parametrize(("strategy", "clients"), [(siege, 1), (siege_by_all_doors, 3)])
def test_siege_gets_what_the_limits_say_by_whatever_doors(
    client: redis.Redis, strategy: Strategy, clients: int
) -> None:
    attackers = attack(client, strategy)

    assert whole(attackers) == schedule_of(clients)
    assert abs(sigmas(attackers, chance(schedule_of(clients)))) < 4


def test_resends_bring_no_guess_more(client: redis.Redis) -> None:
    attackers = attack(client, siege_with_resends)

    schedule = whole(attackers)
    assert set(schedule[:FAST]) == {ATTEMPTS}
    assert set(schedule[FAST:]) == {1}
    assert sum(schedule) <= sum(SIEGE)
    assert abs(sigmas(attackers, chance(schedule))) < 4


def test_parallel_verifications_bring_no_more_than_the_lock_allows(client: redis.Redis) -> None:
    """They get past the windows, which stand at the door, but not past the count in a row."""
    attackers = attack(client, parallel)

    schedule = whole(attackers)
    assert sum(schedule) <= LOCKED_AT
    assert max(schedule) == ATTEMPTS
    assert abs(sigmas(attackers, chance(schedule))) < 4
    assert sigmas(attackers, chance([ATTEMPTS] * (LOCKED_AT // ATTEMPTS))) < 4


def test_spray_gets_its_guesses_by_the_number_of_codes(client: redis.Redis) -> None:
    attackers = attack(client, spray, SPRAYED)

    evaluated = sum(sum(attacker.wrong) + attacker.won for attacker in attackers)
    assert whole(attackers) == [ATTEMPTS]
    assert abs(sigmas(attackers, ATTEMPTS / N)) < 4
    # The same, told from the service's side: the takeovers are the guesses by the number of codes.
    assert abs(taken(attackers) - evaluated / N) < 4 * math.sqrt(evaluated / N)


@pytest.mark.parametrize(
    ("strategy", "mutant"),
    [(siege, RESET_ON_OPEN), (siege_with_resends, RESET_ON_RESEND)],
    ids=["a new verification resets", "a resend resets"],
)
def test_service_that_forgets_on_a_new_sms_is_told_apart(
    client: redis.Redis, strategy: Strategy, mutant: dict[str, tuple[str, str]]
) -> None:
    """What several well-known services do, and what this one is for: the arithmetic must not hold there."""
    attackers = attack(client, strategy, mutant=mutant)

    assert sigmas(attackers, chance(SIEGE)) > 4


def test_codes_of_two_digits_are_read_nowhere_else() -> None:
    with pytest.raises(InvalidCode):
        codes.parse("0" * LENGTH)
