"""The ledger: what is noted here is counted everywhere, and a failing store costs no caller anything."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from support import fakes
from support.phone_stories import CLIENT, Phone, Quiet
from support.store_backends import Backend

from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.limits import ConversionLimits, GlobalFailureLimits, IpLimits
from otp_service.domain.risk import ClientIpQuota, ConversionScope, PrecheckRequest
from otp_service.store.counters import RedisUsageCounters
from otp_service.store.scripts import Call

LIMITS = GlobalFailureLimits(
    min_failures=4, max_failure_ratio=0.01, severe_min_failures=8, severe_max_failure_ratio=0.04
)


@pytest.fixture
def clock() -> fakes.FakeClock:
    """A day of its own for each test, since the wrong codes of a day share one key."""
    return fakes.FakeClock(now=secrets.randbelow(10**9) + 10**9)


@pytest.fixture
def events() -> Quiet:
    return Quiet()


@pytest.fixture
def usage_counters(phone: Phone, clock: fakes.FakeClock, events: Quiet) -> RedisUsageCounters:
    return RedisUsageCounters(phone.store.redis.run_scripts, limits=LIMITS, clock=clock, events=events)


@pytest.fixture
def other(phone: Phone, clock: fakes.FakeClock, events: Quiet) -> RedisUsageCounters:
    """The ledger of another process."""
    return RedisUsageCounters(phone.store.redis.run_scripts, limits=LIMITS, clock=clock, events=events)


def an_address(limit: int = 6) -> ClientIpQuota:
    return ClientIpQuota(secrets.token_urlsafe(12), IpLimits(misses_per_10_minutes=limit))


def admitted(usage_counters: RedisUsageCounters, address: ClientIpQuota, times: int) -> int:
    count = 0
    for _ in range(times):
        if not usage_counters.seconds_until_misses_allowed(address):
            usage_counters.record_miss(address)
            count += 1
    return count


# ── misses per address ──


def test_one_process_holds_the_limit_at_once(usage_counters: RedisUsageCounters) -> None:
    address = an_address()

    assert admitted(usage_counters, address, 20) == 6
    assert admitted(usage_counters, an_address(), 3) == 3


def test_flush_keeps_the_limit_and_says_how_long(usage_counters: RedisUsageCounters) -> None:
    address = an_address()
    admitted(usage_counters, address, 20)
    usage_counters.write()

    assert 500 <= usage_counters.seconds_until_misses_allowed(address) <= 660


def test_other_process_learns_of_it_and_the_slack_is_one_limit_each(
    usage_counters: RedisUsageCounters, other: RedisUsageCounters
) -> None:
    address = an_address()
    unaware = admitted(usage_counters, address, 20) + admitted(other, address, 20)
    usage_counters.write()
    other.write()

    assert unaware == 2 * 6
    assert admitted(usage_counters, address, 20) + admitted(other, address, 20) <= 6
    usage_counters.write()
    other.write()
    assert admitted(usage_counters, address, 20) + admitted(other, address, 20) == 0


def test_address_is_admitted_again_after_ten_minutes(
    phone: Phone, usage_counters: RedisUsageCounters, clock: fakes.FakeClock
) -> None:
    address = an_address()
    admitted(usage_counters, address, 20)
    usage_counters.write()
    clock.advance(720)
    phone.pass_time(720)
    usage_counters.write()

    assert admitted(usage_counters, address, 20) == 6


def test_wait_that_was_told_is_true(
    phone: Phone, usage_counters: RedisUsageCounters, clock: fakes.FakeClock
) -> None:
    address = an_address()
    admitted(usage_counters, address, 20)
    usage_counters.write()
    wait = usage_counters.seconds_until_misses_allowed(address)
    clock.advance(wait - 1)
    phone.pass_time(wait - 1)
    early = admitted(usage_counters, address, 1)
    clock.advance(1)
    phone.pass_time(1)

    assert early == 0
    assert admitted(usage_counters, address, 1) == 1


def test_quiet_addresses_are_forgotten_here(
    usage_counters: RedisUsageCounters, clock: fakes.FakeClock
) -> None:
    for _ in range(50):
        admitted(usage_counters, an_address(), 1)
    usage_counters.write()
    clock.advance(660)
    usage_counters.write()

    assert usage_counters._windows == {}


# ── wrong codes of the whole service ──


def test_wrong_codes_raise_the_alarm_everywhere(
    usage_counters: RedisUsageCounters, other: RedisUsageCounters, events: Quiet
) -> None:
    levels = []
    for _ in range(3):
        for _ in range(3):
            usage_counters.record_failure()
        usage_counters.write()
        other.write()
        levels.append((usage_counters.global_risk_level(), other.global_risk_level()))

    assert levels == [(0, 0), (1, 1), (2, 2)]
    assert [
        facts["alarm_level"] for name, facts in events.seen if name == "global_failure_level_changed"
    ] == [1, 1, 2, 2]


def test_wrong_codes_of_who_is_verified_in_the_end_are_no_guesses(usage_counters: RedisUsageCounters) -> None:
    for _ in range(7):
        usage_counters.record_failure()
    usage_counters.write()
    before = usage_counters.global_risk_level()
    usage_counters.record_approval("t" * 16, 4, None, ())
    usage_counters.write()

    assert (before, usage_counters.global_risk_level()) == (1, 0)


def test_alarm_ends_with_its_day(usage_counters: RedisUsageCounters, clock: fakes.FakeClock) -> None:
    for _ in range(9):
        usage_counters.record_failure()
    usage_counters.write()
    clock.advance(86_400)
    usage_counters.write()

    assert usage_counters.global_risk_level() == 0


@pytest.mark.parametrize(
    ("wrong", "approved", "level"),
    [
        (499, 0, 0),
        (500, 0, 1),
        (1999, 0, 1),
        (2000, 0, 2),
        (999, 100_000, 0),
        (1000, 100_000, 1),
        (4000, 100_000, 2),
    ],
)
def test_levels_are_a_number_or_a_share(wrong: int, approved: int, level: int) -> None:
    assert GlobalFailureLimits().level(wrong, approved) == level


# ── what was verified ──


def test_verified_phones_leave_their_address(phone: Phone, usage_counters: RedisUsageCounters) -> None:
    address = ClientIpQuota(secrets.token_urlsafe(12), IpLimits(sends_per_hour=2))
    for _ in range(2):
        phone.store.precheck(phone.slot, CLIENT, 5, PrecheckRequest(ip_quota=address))
    full = phone.store.precheck(phone.slot, CLIENT, 5, PrecheckRequest(ip_quota=address)).risk_reasons
    usage_counters.record_approval(phone.slot.phone_hash, 0, address, ())
    usage_counters.write()

    assert full == ("address_sends_per_hour",)
    assert phone.store.precheck(phone.slot, CLIENT, 5, PrecheckRequest(ip_quota=address)).risk_reasons == ()


def test_guard_in_log_mode_logs_what_it_would_have_done(
    usage_counters: RedisUsageCounters, events: Quiet
) -> None:
    limits = ConversionLimits(min_unverified=3, max_unverified_ratio=0.5, block_multiplier=2)
    guard = ConversionScope("country", f"country:{secrets.token_urlsafe(4)}", limits)
    actions = []
    for _ in range(3):
        for _ in range(5):
            usage_counters.record_send([guard])
        usage_counters.write()
        actions.append(
            [facts["action"] for name, facts in events.seen if name == "pumping_guard_state_changed"]
        )
    for _ in range(20):
        usage_counters.record_approval("t" * 16, 0, None, [guard])
    usage_counters.write()

    told = [facts["action"] for name, facts in events.seen if name == "pumping_guard_state_changed"]
    assert actions == [[], ["challenge"], ["challenge", "block"]]
    assert told == ["challenge", "block", "none"]


# ── what narrow scopes take out of broad ones ──

BROAD_SCOPES = ConversionLimits(min_unverified=1000)
NARROW = ConversionLimits(min_unverified=6, max_unverified_ratio=0.5, block_multiplier=3, strict_ratio=0.5)
"""Suspect when a fourth SMS would be unverified; tripped by a seventh, or a fourteenth in three minutes."""


def a_scope(kind: str) -> ConversionScope:
    is_broad = kind in ("country", "client")
    name = f"{kind}:{secrets.token_urlsafe(6)}"
    return ConversionScope(kind, name, BROAD_SCOPES if is_broad else NARROW, is_broad=is_broad)


def sent(usage_counters: RedisUsageCounters, count: int, *guards: ConversionScope) -> None:
    for _ in range(count):
        usage_counters.record_send(guards)


def counted(phone: Phone, *scopes: ConversionScope) -> list[tuple[int, int]]:
    """Return what scopes have sent and verified."""
    standing = phone.store.precheck(phone.slot, CLIENT, 5, PrecheckRequest(conversion_scopes=scopes))
    return [(reading.sent, reading.verified) for reading in standing.conversions]


def suspects(phone: Phone, *scopes: ConversionScope) -> list[int]:
    """Return how many suspects broad scopes know of: behind their minutes, told by the numbers of hours."""
    return [_suspects(phone.client.get(f"otp:guard:{{{scope.name}}}") or b"\2\0") for scope in scopes]


def _suspects(kept: bytes) -> int:
    spans = [kept[at : at + 10] for at in range(2, len(kept), 10)][kept[1] :]
    numbered = [(int.from_bytes(span[:4], "big"), int.from_bytes(span[4:7], "big")) for span in spans]
    return sum(count for number, count in numbered if number < 10_000_000)


def test_address_that_becomes_suspect_leaves_each_country_with_what_others_sent_there(
    phone: Phone, usage_counters: RedisUsageCounters
) -> None:
    here, there, client = a_scope("country"), a_scope("country"), a_scope("client")
    home, other_home = a_scope("address"), a_scope("address")
    sent(usage_counters, 2, here, client, home)
    sent(usage_counters, 2, there, client, other_home)
    usage_counters.write()
    before = counted(phone, here, there, client)
    sent(usage_counters, 1, there, client, home)
    usage_counters.write()

    assert before == [(2, 0), (2, 0), (4, 0)]
    assert counted(phone, here, there, client) == [(0, 0), (2, 0), (2, 0)]
    assert suspects(phone, here, there, client) == [1, 1, 1]


@pytest.mark.parametrize(("first", "second"), [(5, 1), (2, 1), (1, 5), (5, 5)])
def test_two_clients_in_one_flush_each_keep_what_the_prefix_does_not_account_for(
    phone: Phone, usage_counters: RedisUsageCounters, first: int, second: int
) -> None:
    country, mall, bank = a_scope("country"), a_scope("client"), a_scope("client")
    prefix, other_prefix = a_scope("prefix"), a_scope("prefix")
    sent(usage_counters, 2, country, mall, other_prefix)
    sent(usage_counters, first, country, mall, prefix)
    sent(usage_counters, second, country, bank, prefix)
    usage_counters.write()

    assert counted(phone, country, mall, bank) == [(2, 0), (2, 0), (0, 0)]


def test_prefix_of_several_clients_is_one_suspect_to_their_country(
    phone: Phone, usage_counters: RedisUsageCounters
) -> None:
    country, mall, bank, prefix = a_scope("country"), a_scope("client"), a_scope("client"), a_scope("prefix")
    told = []
    for count in (2, 20):
        sent(usage_counters, count, country, mall, prefix)
        sent(usage_counters, count, country, bank, prefix)
        usage_counters.write()
        told.append(suspects(phone, country, mall, bank))
    for _ in range(44):
        usage_counters.record_approval("t" * 16, 0, None, [country, mall, prefix])
    usage_counters.write()

    assert told == [[1, 1, 1], [20, 20, 20]]
    assert suspects(phone, country, mall, bank) == [0, 0, 0]
    # What both have sent there counts again.
    assert counted(phone, country, mall, bank) == [(44, 44), (22, 44), (22, 0)]


def test_client_that_has_sent_nothing_there_learns_nothing(
    phone: Phone, usage_counters: RedisUsageCounters
) -> None:
    country, mall, bank, prefix = a_scope("country"), a_scope("client"), a_scope("client"), a_scope("prefix")
    sent(usage_counters, 12, country, mall, prefix)
    usage_counters.write()
    phone.pass_time(240)
    before = suspects(phone, country, mall)
    usage_counters.record_tripped((country, bank, prefix))
    usage_counters.write()

    assert before == [1, 1]
    assert suspects(phone, country, mall) == [20, 20]
    assert not phone.client.exists(f"otp:guard:{{{bank.name}}}")


def test_share_of_a_client_is_forgotten_with_its_day_and_every_key_goes(
    phone: Phone, usage_counters: RedisUsageCounters
) -> None:
    country, mall, bank, prefix = a_scope("country"), a_scope("client"), a_scope("client"), a_scope("prefix")
    key = f"otp:guard:{{{prefix.name}}}"
    told = []
    for client in (bank, mall):
        sent(usage_counters, 1, country, client, prefix)
        usage_counters.write()
        told.append(bank.name.encode() in (phone.client.get(key) or b""))
        phone.pass_time(25 * 3600)

    assert told == [True, False]
    ttls = [phone.client.ttl(f"otp:guard:{{{each.name}}}") for each in (country, mall, bank, prefix)]
    assert all(0 < ttl <= 25 * 3600 for ttl in ttls)


# ── the thread and the store ──


@pytest.fixture
def running(usage_counters: RedisUsageCounters) -> Iterator[RedisUsageCounters]:
    usage_counters.start()
    yield usage_counters
    usage_counters.close()


def test_what_is_noted_is_carried_on_by_itself(running: RedisUsageCounters, phone: Phone) -> None:
    from sms.doubles import eventually  # noqa: PLC0415 - shared with another room's tests

    address = an_address()
    running.record_miss(address)

    assert eventually(lambda: phone.client.exists(f"otp:misses:{{{address.ip_hash}}}"))


def test_closing_carries_the_rest(usage_counters: RedisUsageCounters, phone: Phone) -> None:
    address = an_address()
    usage_counters.record_miss(address)
    usage_counters.close()

    assert 0 < phone.client.ttl(f"otp:misses:{{{address.ip_hash}}}") <= 660


class Broken:
    """A store that fails, and counts how often it was asked; without *works* it is never up."""

    def __init__(self, works: Callable[[Sequence[Call]], list[list[Any]]] | None = None) -> None:
        self.calls = 0
        self.is_down = works is None
        self._works = works

    def write(self, calls: Sequence[Call]) -> list[list[Any]]:
        self.calls += len(calls)
        if self.is_down or self._works is None:
            raise StoreUnavailable
        return self._works(calls)


def test_failing_store_costs_the_notes_and_no_caller(clock: fakes.FakeClock, events: Quiet) -> None:
    broken = Broken()
    usage_counters = RedisUsageCounters(broken.write, limits=LIMITS, clock=clock, events=events)
    address = an_address()
    usage_counters.record_miss(address)
    usage_counters.write()
    usage_counters.write()

    # Nothing is told twice: whether the store has counted it is not known.
    assert broken.calls == 2 + 1
    assert admitted(usage_counters, address, 20) == 6


def test_outage_that_cost_nothing_is_no_loss(clock: fakes.FakeClock, events: Quiet) -> None:
    usage_counters = RedisUsageCounters(Broken().write, limits=LIMITS, clock=clock, events=events)
    for _ in range(5):
        usage_counters.write()
    usage_counters.close()

    assert events.seen == []


def test_what_an_outage_cost_is_told_once_when_it_is_over(
    phone: Phone, clock: fakes.FakeClock, events: Quiet
) -> None:
    broken = Broken(phone.store.redis.run_scripts)
    broken.is_down = True
    usage_counters = RedisUsageCounters(broken.write, limits=LIMITS, clock=clock, events=events)
    for _ in range(2):
        usage_counters.record_miss(an_address())
        usage_counters.record_failure()
        usage_counters.write()
        usage_counters.write()
    during = list(events.seen)
    broken.is_down = False
    usage_counters.write()
    usage_counters.write()

    assert during == []
    assert events.seen == [("counter_flush_failed", {"entries": 4})]


def test_loss_is_told_when_the_process_ends_in_the_outage(clock: fakes.FakeClock, events: Quiet) -> None:
    usage_counters = RedisUsageCounters(Broken().write, limits=LIMITS, clock=clock, events=events)
    usage_counters.record_failure()
    usage_counters.close()

    assert events.seen == [("counter_flush_failed", {"entries": 1})]


def test_every_key_of_the_ledger_goes(
    backend: Backend, usage_counters: RedisUsageCounters, phone: Phone
) -> None:
    usage_counters.record_failure()
    usage_counters.record_approval(
        "t" * 16,
        0,
        ClientIpQuota("a" * 16, IpLimits()),
        [ConversionScope("client", "client:x", ConversionLimits())],
    )
    usage_counters.write()

    client = backend.client
    assert [key for key in client.scan_iter("otp:*") if client.ttl(key) < 0] == []


def test_slots_with_other_limits_are_counted_apart_and_together(usage_counters: RedisUsageCounters) -> None:
    address = an_address()
    stricter = replace(address, limits=replace(address.limits, misses_per_10_minutes=3))
    admitted(usage_counters, address, 2)
    usage_counters.write()

    assert admitted(usage_counters, stricter, 5) == 1
