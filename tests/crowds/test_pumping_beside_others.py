"""Pumping gets few SMS and does not affect normal users at the same time, with the guard enforced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random  # noqa: TID251 - nothing secret: the same people come every time

import pytest
import redis
from crowds.pumping import MixedTraffic
from support.redis_servers import redis_binary, running
from support.service_on_redis import BANK, MALL, Simulation, build, enforcing_risk_policy

from otp_service.domain.clients import Client
from otp_service.domain.policy import PumpingGuardMode

HOUR, DAY = 3600.0, 86_400.0
Plan = Callable[[MixedTraffic], None]


def attacking(prefixes: int, *, in_turns: bool, begin: float, seconds: float, numbers: int = 1000) -> Plan:
    def plan(traffic: MixedTraffic) -> None:
        attack = traffic.attack_prefixes_in_turn if in_turns else traffic.attack
        attack(numbers=numbers, prefixes=prefixes, addresses=50, begin=begin, seconds=seconds)

    return plan


CASES: dict[str, tuple[int, Plan, int, float, int]] = {
    # Seed, attack, number and duration of normal logins, and the upper bound of SMS that the attacker gets.
    "one prefix, mixed": (1, attacking(1, in_turns=False, begin=0, seconds=HOUR), 200, HOUR, 30),
    "one prefix, before": (2, attacking(1, in_turns=False, begin=0, seconds=400), 200, HOUR, 30),
    "twenty prefixes in turns, mixed": (
        1,
        attacking(20, in_turns=True, begin=0, seconds=HOUR),
        200,
        HOUR,
        100,
    ),
    "twenty prefixes in turns, in the middle": (
        11,
        attacking(20, in_turns=True, begin=1800, seconds=400),
        200,
        HOUR,
        100,
    ),
    "twenty prefixes one by one": (
        1,
        attacking(20, in_turns=False, begin=600, seconds=HOUR),
        200,
        HOUR,
        100,
    ),
    "small service, one prefix": (
        1,
        attacking(1, in_turns=False, begin=0, seconds=4 * HOUR, numbers=500),
        50,
        DAY,
        30,
    ),
    "small service, twenty prefixes": (
        1,
        attacking(20, in_turns=True, begin=DAY / 2, seconds=2 * HOUR),
        50,
        DAY,
        100,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_pumping_is_stopped_and_normal_users_are_not_affected(simulation: Simulation, name: str) -> None:
    seed, plan, users, seconds, most = CASES[name]
    traffic = MixedTraffic(simulation, Random(seed))  # noqa: S311 - as above
    plan(traffic)
    traffic.add_normal_users(users=users, seconds=seconds)

    simulation.run_all()

    assert traffic.pumped < most
    assert traffic.affected == []
    assert traffic.verified > 0.7 * users


INDIA, INDIAN = "+919800000", "+9199"
"""The beginnings of pumped numbers, and of the numbers of normal users."""


def attack_on_one(traffic: MixedTraffic) -> None:
    traffic.attack(numbers=300, prefixes=1, addresses=50, begin=600, seconds=2000, clients=[BANK])


def attack_on_both(traffic: MixedTraffic) -> None:
    traffic.attack(numbers=600, prefixes=1, addresses=50, begin=0, seconds=HOUR, clients=[MALL, BANK])


def slow_attack_on_both(traffic: MixedTraffic) -> None:
    traffic.attack(numbers=200, prefixes=1, addresses=50, begin=0, seconds=HOUR, clients=[MALL, BANK])


def attack_on_one_and_then_the_other(traffic: MixedTraffic) -> None:
    traffic.attack(numbers=300, prefixes=1, addresses=50, begin=0, seconds=1000, clients=[MALL])
    traffic.attack(numbers=300, prefixes=1, addresses=50, begin=1200, seconds=1000, clients=[BANK])


def attack_on_both_over_twenty_prefixes(traffic: MixedTraffic) -> None:
    clients = [MALL, BANK]
    traffic.attack_prefixes_in_turn(
        numbers=600, prefixes=20, addresses=50, begin=600, seconds=2000, clients=clients
    )


def attack_on_one_country(traffic: MixedTraffic) -> None:
    traffic.attack(numbers=300, prefixes=1, addresses=50, begin=600, seconds=2000, first=INDIA)


def attack_on_one_country_over_twenty_prefixes(traffic: MixedTraffic) -> None:
    traffic.attack_prefixes_in_turn(
        numbers=600, prefixes=20, addresses=50, begin=600, seconds=2000, first=INDIA
    )


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
def test_pumping_is_stopped_at_every_client_and_in_every_country(simulation: Simulation, name: str) -> None:
    """Normal users of both clients and two countries; some share an address."""
    plan, most = WITH_OTHERS[name]
    traffic = MixedTraffic(simulation, Random(3))  # noqa: S311 - as above
    plan(traffic)
    traffic.add_normal_users(users=100, seconds=HOUR, client=MALL)
    traffic.add_normal_users(users=100, seconds=HOUR, client=BANK, first="+86137")
    traffic.add_normal_users(users=60, seconds=HOUR, client=BANK, first=INDIAN)

    simulation.run_all()

    assert traffic.pumped < most
    assert traffic.affected == []
    assert traffic.verified > 0.7 * 260


def test_guard_in_log_mode_logs_what_it_would_have_done() -> None:
    watching = replace(enforcing_risk_policy(), pumping_guard_mode=PumpingGuardMode.RECORD_ONLY)
    with running(redis_binary()) as server, server.client() as client:
        simulation = build(client, watching)
        traffic = MixedTraffic(simulation, Random(1))  # noqa: S311 - as above
        traffic.attack_prefixes_in_turn(numbers=400, prefixes=20, addresses=50, begin=600, seconds=300)
        traffic.add_normal_users(users=100, seconds=1200)
        simulation.run_all()
        actions = tripped(simulation)

    assert traffic.pumped == 400
    assert traffic.affected == []
    assert {"country:CN strict", "client:mall strict"} <= set(actions)
    challenged = {name for name in actions if name.startswith("prefix:") and name.endswith(" challenge")}
    assert 20 <= len(challenged) <= 22  # those of the attack, and few others
    assert not any(
        name.startswith(("country:", "client:")) and name.endswith(" challenge") for name in actions
    )


def tripped(simulation: Simulation) -> list[str]:
    return [
        f"{event['scope']} {event['action']}" for event in simulation.events.of("pumping_guard_state_changed")
    ]


# ── counts of the broad scopes ──


def broad(client: redis.Redis, name: str) -> tuple[int, int]:
    """Return the sent and verified SMS that a broad scope has counted by hour."""
    kept = client.get(f"otp:guard:{{{name}}}") or b"\x02\x00"
    spans = [kept[at : at + 10] for at in range(2, 2 + 10 * kept[1], 10)]
    return sum(int.from_bytes(s[4:7], "big") for s in spans), sum(int.from_bytes(s[7:], "big") for s in spans)


def test_refused_calls_are_not_counted_in_broad_scopes(simulation: Simulation) -> None:
    traffic = MixedTraffic(simulation, Random(5))  # noqa: S311 - as above
    for _ in range(300):
        simulation.schedule(1, traffic.person("+8613900001234", "203.0.113.7", verifies=False))
    simulation.run_all()
    simulation.pass_time(1)

    assert len(simulation.sender.sent) == 1
    assert broad(simulation.client, "country:CN") == (1, 0)
    assert broad(simulation.client, "client:mall") == (1, 0)


def test_counts_of_a_suspect_prefix_are_removed_from_the_broad_scopes_once(simulation: Simulation) -> None:
    traffic = MixedTraffic(simulation, Random(6))  # noqa: S311 - as above
    traffic.attack(numbers=2, prefixes=1, addresses=2, begin=0, seconds=1)
    simulation.run_all()
    simulation.pass_time(1)
    before = broad(simulation.client, "country:CN")
    traffic.attack(numbers=40, prefixes=1, addresses=40, begin=0, seconds=40)
    simulation.run_all()
    simulation.pass_time(1)

    assert before == (2, 0)
    assert traffic.pumped > 15
    assert broad(simulation.client, "country:CN") == (0, 0)


def test_slowly_verified_prefix_is_counted_again(simulation: Simulation) -> None:
    """Five users of one prefix wait for their SMS at once; all of them verify."""
    traffic = MixedTraffic(simulation, Random(7))  # noqa: S311 - as above
    for place in range(5):
        person = traffic.person(f"+861390001{place:04d}", f"203.0.113.{place}", verifies=True)
        simulation.schedule(0, person)
    simulation.run_all()
    simulation.pass_time(1)

    assert traffic.verified == 5
    assert broad(simulation.client, "country:CN") == (5, 5)


def send_to_prefix(
    simulation: Simulation, traffic: MixedTraffic, prefix: str, count: int, client: Client, *, verifies: bool
) -> None:
    """Let *count* users of one prefix request a code from *client*, each from another address."""
    for _ in range(count):
        place = len(simulation.sender.sent)
        person = traffic.person(
            f"{prefix}{place:04d}", f"203.0.113.{place}", verifies=verifies, client=client
        )
        simulation.schedule(0, person)
        simulation.run_all()
    simulation.pass_time(1)


def counts(simulation: Simulation) -> dict[str, tuple[int, int]]:
    return {name: broad(simulation.client, name) for name in ("client:mall", "client:bank", "country:CN")}


def test_suspect_prefix_is_removed_from_the_counts_of_each_client(simulation: Simulation) -> None:
    """The mall sends two SMS to the prefix and the bank the third; the bank also sends to other prefixes."""
    traffic = MixedTraffic(simulation, Random(8))  # noqa: S311 - as above
    send_to_prefix(simulation, traffic, "+861380000", 2, MALL, verifies=False)
    send_to_prefix(simulation, traffic, "+861390001", 2, BANK, verifies=False)
    send_to_prefix(simulation, traffic, "+861390002", 2, BANK, verifies=False)
    before = counts(simulation)
    send_to_prefix(simulation, traffic, "+861380000", 1, BANK, verifies=False)

    assert before == {"client:mall": (2, 0), "client:bank": (4, 0), "country:CN": (6, 0)}
    assert counts(simulation) == {"client:mall": (0, 0), "client:bank": (4, 0), "country:CN": (4, 0)}


def test_prefix_that_trips_at_one_client_keeps_the_counts_of_the_other(simulation: Simulation) -> None:
    traffic = MixedTraffic(simulation, Random(8))  # noqa: S311 - as above
    for prefix in range(861390001, 861390006):
        send_to_prefix(simulation, traffic, f"+{prefix}", 2, BANK, verifies=False)
    send_to_prefix(simulation, traffic, "+861380000", 1, BANK, verifies=False)
    before = counts(simulation)
    traffic.attack(numbers=40, prefixes=1, addresses=40, begin=0, seconds=40, first="+861380000")
    simulation.run_all()
    simulation.pass_time(1)

    assert before == {"client:mall": (0, 0), "client:bank": (11, 0), "country:CN": (11, 0)}
    assert traffic.pumped > 15
    # Only the bank's own SMS to that prefix are removed.
    assert counts(simulation) == {"client:mall": (0, 0), "client:bank": (10, 0), "country:CN": (10, 0)}


def test_slowly_verified_prefix_is_counted_again_at_each_client(simulation: Simulation) -> None:
    traffic = MixedTraffic(simulation, Random(7))  # noqa: S311 - as above
    for place, client in enumerate([MALL, MALL, MALL, BANK, BANK]):
        phone, address = f"+861390001{place:04d}", f"203.0.113.{place}"
        simulation.schedule(0, traffic.person(phone, address, verifies=True, client=client))
    simulation.pass_time(1)
    simulation.run_all()
    simulation.pass_time(1)

    assert traffic.verified == 5
    assert counts(simulation) == {"client:mall": (3, 3), "client:bank": (2, 2), "country:CN": (5, 5)}
