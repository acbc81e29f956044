"""Who pumps gets few SMS, and nobody else notices: the guard enforced, ordinary people beside the attack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random  # noqa: TID251 - nothing secret: the same people come every time

import pytest
import redis
from crowds.pumping import Siege
from support.redis_servers import redis_binary, running
from support.service_on_redis import BANK, MALL, Stage, build, enforced

from otp_service.domain.clients import Client
from otp_service.domain.policy import PumpingGuardMode

HOUR, DAY = 3600.0, 86_400.0
Plan = Callable[[Siege], None]


def siege_of(prefixes: int, *, in_turns: bool, begin: float, seconds: float, numbers: int = 2000) -> Plan:
    def plan(siege: Siege) -> None:
        attack = siege.attack_in_turns if in_turns else siege.attack
        attack(numbers=numbers, prefixes=prefixes, addresses=50, begin=begin, seconds=seconds)

    return plan


STORIES: dict[str, tuple[int, Plan, int, float, int]] = {
    # What happens, with which people, and less than how many SMS the attacker gets.
    "one prefix, mixed": (1, siege_of(1, in_turns=False, begin=0, seconds=HOUR), 200, HOUR, 30),
    "one prefix, before": (2, siege_of(1, in_turns=False, begin=0, seconds=400), 200, HOUR, 30),
    "twenty prefixes in turns, mixed": (
        1,
        siege_of(20, in_turns=True, begin=0, seconds=HOUR),
        200,
        HOUR,
        100,
    ),
    "twenty prefixes in turns, in the middle": (
        11,
        siege_of(20, in_turns=True, begin=1800, seconds=400),
        200,
        HOUR,
        100,
    ),
    "twenty prefixes one by one": (1, siege_of(20, in_turns=False, begin=600, seconds=HOUR), 200, HOUR, 100),
    "small service, one prefix": (
        1,
        siege_of(1, in_turns=False, begin=0, seconds=4 * HOUR, numbers=500),
        50,
        DAY,
        30,
    ),
    "small service, twenty prefixes": (
        1,
        siege_of(20, in_turns=True, begin=DAY / 2, seconds=2 * HOUR),
        50,
        DAY,
        100,
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_pumping_is_stopped_and_nobody_else_notices(stage: Stage, name: str) -> None:
    seed, plan, flows, seconds, most = STORIES[name]
    siege = Siege(stage, Random(seed))  # noqa: S311 - as above
    plan(siege)
    siege.ordinary(flows=flows, seconds=seconds)

    stage.play()

    assert siege.pumped < most
    assert siege.touched == []
    assert siege.verified > 0.7 * flows


INDIA, INDIAN = "+919800000", "+9199"
"""Where pumped numbers begin, and those of ordinary people."""


def attack_on_one(siege: Siege) -> None:
    siege.attack(numbers=300, prefixes=1, addresses=50, begin=600, seconds=2000, clients=[BANK])


def attack_on_both(siege: Siege) -> None:
    siege.attack(numbers=600, prefixes=1, addresses=50, begin=0, seconds=HOUR, clients=[MALL, BANK])


def slow_attack_on_both(siege: Siege) -> None:
    siege.attack(numbers=200, prefixes=1, addresses=50, begin=0, seconds=HOUR, clients=[MALL, BANK])


def attack_on_one_and_then_the_other(siege: Siege) -> None:
    siege.attack(numbers=300, prefixes=1, addresses=50, begin=0, seconds=1000, clients=[MALL])
    siege.attack(numbers=300, prefixes=1, addresses=50, begin=1200, seconds=1000, clients=[BANK])


def attack_on_both_over_twenty_prefixes(siege: Siege) -> None:
    clients = [MALL, BANK]
    siege.attack_in_turns(numbers=600, prefixes=20, addresses=50, begin=600, seconds=2000, clients=clients)


def attack_on_one_country(siege: Siege) -> None:
    siege.attack(numbers=300, prefixes=1, addresses=50, begin=600, seconds=2000, first=INDIA)


def attack_on_one_country_over_twenty_prefixes(siege: Siege) -> None:
    siege.attack_in_turns(numbers=600, prefixes=20, addresses=50, begin=600, seconds=2000, first=INDIA)


WITH_OTHERS: dict[str, tuple[Plan, int]] = {
    "one client": (attack_on_one, 30),
    "both clients": (attack_on_both, 30),
    "both clients, slowly": (slow_attack_on_both, 30),
    "one client, then the other": (attack_on_one_and_then_the_other, 30),
    "both clients, twenty prefixes": (attack_on_both_over_twenty_prefixes, 100),
    "one country": (attack_on_one_country, 30),
    "one country, twenty prefixes": (attack_on_one_country_over_twenty_prefixes, 100),
}


@pytest.mark.parametrize("name", WITH_OTHERS)
def test_pumping_is_stopped_at_every_client_and_in_every_country(stage: Stage, name: str) -> None:
    """Ordinary people ask both clients, from two countries; some of both have one home."""
    plan, most = WITH_OTHERS[name]
    siege = Siege(stage, Random(3))  # noqa: S311 - as above
    plan(siege)
    siege.ordinary(flows=100, seconds=HOUR, client=MALL)
    siege.ordinary(flows=100, seconds=HOUR, client=BANK, first="+86137")
    siege.ordinary(flows=60, seconds=HOUR, client=BANK, first=INDIAN)

    stage.play()

    assert siege.pumped < most
    assert siege.touched == []
    assert siege.verified > 0.7 * 260


def test_guard_that_only_watches_says_what_it_would_have_done() -> None:
    watching = replace(enforced(), pumping_guard_mode=PumpingGuardMode.RECORD_ONLY)
    with running(redis_binary()) as server, server.client() as client:
        stage = build(client, watching)
        siege = Siege(stage, Random(1))  # noqa: S311 - as above
        siege.attack_in_turns(numbers=400, prefixes=20, addresses=50, begin=600, seconds=300)
        siege.ordinary(flows=100, seconds=1200)
        stage.play()
        told = tripped(stage)

    assert siege.pumped == 400
    assert siege.touched == []
    assert {"country:CN strict", "client:mall strict"} <= set(told)
    challenged = {name for name in told if name.startswith("prefix:") and name.endswith(" challenge")}
    assert 20 <= len(challenged) <= 22  # those of the attack, and hardly any other
    assert not any(name.startswith(("country:", "client:")) and name.endswith(" challenge") for name in told)


def tripped(stage: Stage) -> list[str]:
    return [f"{told['scope']} {told['action']}" for told in stage.events.of("pumping_guard_state_changed")]


# ── what the broad scopes count ──


def broad(client: redis.Redis, name: str) -> tuple[int, int]:
    """Return what a broad scope has counted as sent and verified, by hours."""
    kept = client.get(f"otp:guard:{{{name}}}") or b"\x02\x00"
    spans = [kept[at : at + 10] for at in range(2, 2 + 10 * kept[1], 10)]
    return sum(int.from_bytes(s[4:7], "big") for s in spans), sum(int.from_bytes(s[7:], "big") for s in spans)


def test_refused_calls_count_in_no_broad_scope(stage: Stage) -> None:
    siege = Siege(stage, Random(5))  # noqa: S311 - as above
    for _ in range(300):
        stage.tell(1, siege.person("+8613900001234", "203.0.113.7", verifies=False))
    stage.play()
    stage.pass_time(1)

    assert len(stage.sender.sent) == 1
    assert broad(stage.client, "country:CN") == (1, 0)
    assert broad(stage.client, "client:mall") == (1, 0)


def test_what_a_prefix_explains_leaves_the_broad_scopes_and_does_not_come_back(stage: Stage) -> None:
    siege = Siege(stage, Random(6))  # noqa: S311 - as above
    siege.attack(numbers=2, prefixes=1, addresses=2, begin=0, seconds=1)
    stage.play()
    stage.pass_time(1)
    before = broad(stage.client, "country:CN")
    siege.attack(numbers=40, prefixes=1, addresses=40, begin=0, seconds=40)
    stage.play()
    stage.pass_time(1)

    assert before == (2, 0)
    assert siege.pumped > 15
    assert broad(stage.client, "country:CN") == (0, 0)


def test_prefix_that_was_only_slow_to_verify_is_counted_again(stage: Stage) -> None:
    """Five people of one prefix wait for their SMS at once; all of them verify."""
    siege = Siege(stage, Random(7))  # noqa: S311 - as above
    for place in range(5):
        person = siege.person(f"+861390001{place:04d}", f"203.0.113.{place}", verifies=True)
        stage.tell(0, person)
    stage.play()
    stage.pass_time(1)

    assert siege.verified == 5
    assert broad(stage.client, "country:CN") == (5, 5)


def send(stage: Stage, siege: Siege, prefix: str, count: int, client: Client, *, verifies: bool) -> None:
    """Let *count* people of one prefix ask *client*, each from a home of their own."""
    for _ in range(count):
        place = len(stage.sender.sent)
        person = siege.person(f"{prefix}{place:04d}", f"203.0.113.{place}", verifies=verifies, client=client)
        stage.tell(0, person)
        stage.play()
    stage.pass_time(1)


def counts(stage: Stage) -> dict[str, tuple[int, int]]:
    return {name: broad(stage.client, name) for name in ("client:mall", "client:bank", "country:CN")}


def test_prefix_that_one_client_makes_suspect_is_taken_out_of_where_it_was_counted(stage: Stage) -> None:
    """Two SMS to the prefix are of the mall, and the bank's is the third; the bank sends to others beside."""
    siege = Siege(stage, Random(8))  # noqa: S311 - as above
    send(stage, siege, "+861380000", 2, MALL, verifies=False)
    send(stage, siege, "+861390001", 2, BANK, verifies=False)
    send(stage, siege, "+861390002", 2, BANK, verifies=False)
    before = counts(stage)
    send(stage, siege, "+861380000", 1, BANK, verifies=False)

    assert before == {"client:mall": (2, 0), "client:bank": (4, 0), "country:CN": (6, 0)}
    assert counts(stage) == {"client:mall": (0, 0), "client:bank": (4, 0), "country:CN": (4, 0)}


def test_prefix_that_trips_at_one_client_leaves_the_counts_of_the_other_alone(stage: Stage) -> None:
    siege = Siege(stage, Random(8))  # noqa: S311 - as above
    for prefix in range(861390001, 861390006):
        send(stage, siege, f"+{prefix}", 2, BANK, verifies=False)
    send(stage, siege, "+861380000", 1, BANK, verifies=False)
    before = counts(stage)
    siege.attack(numbers=40, prefixes=1, addresses=40, begin=0, seconds=40, first="+861380000")
    stage.play()
    stage.pass_time(1)

    assert before == {"client:mall": (0, 0), "client:bank": (11, 0), "country:CN": (11, 0)}
    assert siege.pumped > 15
    # The bank's own SMS to that prefix are accounted for, and no other.
    assert counts(stage) == {"client:mall": (0, 0), "client:bank": (10, 0), "country:CN": (10, 0)}


def test_prefix_that_was_only_slow_to_verify_is_counted_again_at_each_client(stage: Stage) -> None:
    siege = Siege(stage, Random(7))  # noqa: S311 - as above
    for place, client in enumerate([MALL, MALL, MALL, BANK, BANK]):
        phone, address = f"+861390001{place:04d}", f"203.0.113.{place}"
        stage.tell(0, siege.person(phone, address, verifies=True, client=client))
    stage.pass_time(1)
    stage.play()
    stage.pass_time(1)

    assert siege.verified == 5
    assert counts(stage) == {"client:mall": (3, 3), "client:bank": (2, 2), "country:CN": (5, 5)}
