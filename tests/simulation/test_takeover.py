"""A test of the limits' arithmetic: thirty days of guessing at codes of two digits.

With N codes, k guesses succeed with a probability of k/N. The limits determine the number of guesses in
thirty days, and so the expected share of taken-over phones; the result must lie within four sigma of it.
That fails by chance once in 16,000 times, but the seed is fixed. With six digits all results are divided by
10,000.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from random import Random  # noqa: TID251 - reproducible, and nothing secret

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
    guess_until_exhausted,
    guess_with_all_clients,
    guess_with_resends,
    parallel,
    spray,
)
from support.events import RecordingEvents
from support.redis_servers import redis_binary, running
from support.service_on_redis import START, SettableClockRunner, Timeline

from otp_service.domain import codes
from otp_service.domain.errors import InvalidCode
from otp_service.domain.limits import CodeLimits
from otp_service.store.verifications import RedisStore

PHONES = 60
SPRAYED = 600

ATTEMPTS = CodeLimits().max_attempts
RESTRICTED_AT = LIMITS.untrusted_failures(LIMITS.restrict_after_failures)
LOCKED_AT = LIMITS.untrusted_failures(LIMITS.lock_after_failures)
UNRESTRICTED_VERIFICATIONS = RESTRICTED_AT // ATTEMPTS
"""Number of verifications, with only wrong attempts, until the phone is restricted."""

FAILURES_PER_DAY = math.ceil(LIMITS.untrusted_failures(LIMITS.failures_per_day) / ATTEMPTS) * ATTEMPTS
"""The limit is checked when a verification is created, so the attempts of the last one may exceed it."""

DAYS_UNTIL_RESTRICTED = (RESTRICTED_AT - 1) // FAILURES_PER_DAY
"""Days until the phone is restricted, at that many failures a day."""


def schedule_of(clients: int) -> list[int]:
    """Return the guesses per verification of an attack through *clients* clients.

    First the failures allowed per day, then one guess per day and client until the phone is locked.
    """
    restricted = min(clients * (DAYS - DAYS_UNTIL_RESTRICTED), LOCKED_AT - RESTRICTED_AT)
    return [ATTEMPTS] * UNRESTRICTED_VERIFICATIONS + [1] * restricted


ONE_CLIENT = schedule_of(clients=1)

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
    """Attack each of *phones* for thirty days; return the attackers."""
    client.flushall()
    store = RedisStore(client, RecordingEvents())
    runner = SettableClockRunner(client, mutant)
    store.redis.scripts = runner
    timeline = Timeline(runner, tick=60)
    random = Random(20261124)  # noqa: S311 - as above
    world = World(store, timeline, random, START + DAYS * DAY)
    attackers = [Attacker(world, f"+86138{number:08d}") for number in range(phones)]
    for attacker in attackers:
        timeline.schedule(0, strategy(attacker))
    timeline.run_all()
    assert timeline.refusals == []
    return attackers


def takeovers(attackers: Sequence[Attacker]) -> int:
    return sum(attacker.won for attacker in attackers)


def guesses_without_success(attackers: Sequence[Attacker]) -> list[int]:
    """Return the guesses per verification of each attacker who had no success; they are all the same."""
    schedules = {tuple(attacker.wrong) for attacker in attackers if not attacker.won}
    (schedule,) = schedules
    return list(schedule)


def chance(guesses: Sequence[int]) -> float:
    """Return the probability that one of *guesses*, the numbers of guesses at several codes, is right."""
    return 1 - math.prod(1 - count / N for count in guesses)


def sigmas(attackers: Sequence[Attacker], expected: float) -> float:
    """Return by how many sigma the taken-over phones exceed *expected*."""
    count = len(attackers)
    return (takeovers(attackers) - count * expected) / math.sqrt(count * expected * (1 - expected))


@pytest.mark.parametrize(("strategy", "clients"), [(guess_until_exhausted, 1), (guess_with_all_clients, 3)])
def test_guesses_are_limited_for_one_and_for_all_clients(
    client: redis.Redis, strategy: Strategy, clients: int
) -> None:
    attackers = attack(client, strategy)

    assert guesses_without_success(attackers) == schedule_of(clients)
    assert abs(sigmas(attackers, chance(schedule_of(clients)))) < 4


def test_resends_give_no_more_guesses(client: redis.Redis) -> None:
    attackers = attack(client, guess_with_resends)

    schedule = guesses_without_success(attackers)
    assert set(schedule[:UNRESTRICTED_VERIFICATIONS]) == {ATTEMPTS}
    assert set(schedule[UNRESTRICTED_VERIFICATIONS:]) == {1}
    assert sum(schedule) <= sum(ONE_CLIENT)
    assert abs(sigmas(attackers, chance(schedule))) < 4


def test_parallel_verifications_give_no_more_guesses_than_the_lock_allows(client: redis.Redis) -> None:
    """They pass the windows, which are checked at creation, but not the consecutive failures."""
    attackers = attack(client, parallel)

    schedule = guesses_without_success(attackers)
    assert sum(schedule) <= LOCKED_AT
    assert max(schedule) == ATTEMPTS
    assert abs(sigmas(attackers, chance(schedule))) < 4
    assert sigmas(attackers, chance([ATTEMPTS] * (LOCKED_AT // ATTEMPTS))) < 4


def test_spray_succeeds_with_guesses_divided_by_codes(client: redis.Redis) -> None:
    attackers = attack(client, spray, SPRAYED)

    evaluated = sum(sum(attacker.wrong) + attacker.won for attacker in attackers)
    assert guesses_without_success(attackers) == [ATTEMPTS]
    assert abs(sigmas(attackers, ATTEMPTS / N)) < 4
    # The same for the service: the takeovers are the guesses divided by the number of codes.
    assert abs(takeovers(attackers) - evaluated / N) < 4 * math.sqrt(evaluated / N)


@pytest.mark.parametrize(
    ("strategy", "mutant"),
    [(guess_until_exhausted, RESET_ON_OPEN), (guess_with_resends, RESET_ON_RESEND)],
    ids=["a new verification resets", "a resend resets"],
)
def test_service_that_resets_attempts_on_a_new_sms_is_detected(
    client: redis.Redis, strategy: Strategy, mutant: dict[str, tuple[str, str]]
) -> None:
    """Several well-known services do that. The arithmetic must fail for them."""
    attackers = attack(client, strategy, mutant=mutant)

    assert sigmas(attackers, chance(ONE_CLIENT)) > 4


def test_codes_of_two_digits_are_accepted_only_in_this_simulation() -> None:
    with pytest.raises(InvalidCode):
        codes.parse("0" * LENGTH)
