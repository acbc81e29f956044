"""Usage counters: counted in one process, shared by all; a failing store raises nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from support import fakes
from support.events import RecordingEvents
from support.phone_in_store import CLIENT, Phone
from support.store_backends import Backend
from support.waiting import eventually

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
    """Each test has its own day, because the wrong codes of a day share one key."""
    return fakes.FakeClock(now=secrets.randbelow(10**9) + 10**9)


@pytest.fixture
def events() -> RecordingEvents:
    return RecordingEvents()


@pytest.fixture
def usage_counters(phone: Phone, clock: fakes.FakeClock, events: RecordingEvents) -> RedisUsageCounters:
    return RedisUsageCounters(phone.store.redis.run_scripts, limits=LIMITS, clock=clock, events=events)


@pytest.fixture
def other(phone: Phone, clock: fakes.FakeClock, events: RecordingEvents) -> RedisUsageCounters:
    """The usage counters of another process."""
    return RedisUsageCounters(phone.store.redis.run_scripts, limits=LIMITS, clock=clock, events=events)


def an_ip_quota(limit: int = 6) -> ClientIpQuota:
    return ClientIpQuota(secrets.token_urlsafe(12), IpLimits(misses_per_10_minutes=limit))


def admitted(usage_counters: RedisUsageCounters, quota: ClientIpQuota, times: int) -> int:
    count = 0
    for _ in range(times):
        if not usage_counters.seconds_until_misses_allowed(quota):
            usage_counters.record_miss(quota)
            count += 1
    return count


# ── misses per IP address ──


def test_one_process_enforces_the_limit_at_once(usage_counters: RedisUsageCounters) -> None:
    quota = an_ip_quota()

    assert admitted(usage_counters, quota, 20) == 6
    assert admitted(usage_counters, an_ip_quota(), 3) == 3


def test_written_counters_enforce_the_limit_and_return_the_wait(usage_counters: RedisUsageCounters) -> None:
    quota = an_ip_quota()
    admitted(usage_counters, quota, 20)
    usage_counters.write()

    assert 500 <= usage_counters.seconds_until_misses_allowed(quota) <= 660


def test_each_process_admits_at_most_one_limit_before_it_knows_the_total(
    usage_counters: RedisUsageCounters, other: RedisUsageCounters
) -> None:
    quota = an_ip_quota()
    unaware = admitted(usage_counters, quota, 20) + admitted(other, quota, 20)
    usage_counters.write()
    other.write()

    assert unaware == 2 * 6
    assert admitted(usage_counters, quota, 20) + admitted(other, quota, 20) <= 6
    usage_counters.write()
    other.write()
    assert admitted(usage_counters, quota, 20) + admitted(other, quota, 20) == 0


def test_ip_is_admitted_again_after_ten_minutes(
    phone: Phone, usage_counters: RedisUsageCounters, clock: fakes.FakeClock
) -> None:
    quota = an_ip_quota()
    admitted(usage_counters, quota, 20)
    usage_counters.write()
    clock.advance(720)
    phone.pass_time(720)
    usage_counters.write()

    assert admitted(usage_counters, quota, 20) == 6


def test_returned_wait_of_misses_is_exact(
    phone: Phone, usage_counters: RedisUsageCounters, clock: fakes.FakeClock
) -> None:
    quota = an_ip_quota()
    admitted(usage_counters, quota, 20)
    usage_counters.write()
    wait = usage_counters.seconds_until_misses_allowed(quota)
    clock.advance(wait - 1)
    phone.pass_time(wait - 1)
    early = admitted(usage_counters, quota, 1)
    clock.advance(1)
    phone.pass_time(1)

    assert early == 0
    assert admitted(usage_counters, quota, 1) == 1


def test_windows_of_idle_ips_are_dropped(usage_counters: RedisUsageCounters, clock: fakes.FakeClock) -> None:
    for _ in range(50):
        admitted(usage_counters, an_ip_quota(), 1)
    usage_counters.write()
    clock.advance(660)
    usage_counters.write()

    assert usage_counters._windows == {}


# ── wrong codes of the whole service ──


def test_wrong_codes_raise_the_level_in_all_processes(
    usage_counters: RedisUsageCounters, other: RedisUsageCounters, events: RecordingEvents
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
        facts["alarm_level"] for name, facts in events.emitted if name == "global_failure_level_changed"
    ] == [1, 1, 2, 2]


def test_wrong_codes_before_an_approval_do_not_count(usage_counters: RedisUsageCounters) -> None:
    for _ in range(7):
        usage_counters.record_failure()
    usage_counters.write()
    before = usage_counters.global_risk_level()
    usage_counters.record_approval("t" * 16, 4, None, ())
    usage_counters.write()

    assert (before, usage_counters.global_risk_level()) == (1, 0)


def test_failure_level_ends_with_its_day(usage_counters: RedisUsageCounters, clock: fakes.FakeClock) -> None:
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
def test_levels_have_a_minimum_and_a_ratio(wrong: int, approved: int, level: int) -> None:
    assert GlobalFailureLimits().level(wrong, approved) == level


# ── what was verified ──


def test_verified_phones_leave_the_ip_log(phone: Phone, usage_counters: RedisUsageCounters) -> None:
    quota = ClientIpQuota(secrets.token_urlsafe(12), IpLimits(sends_per_hour=2))
    for _ in range(2):
        phone.store.precheck(phone.phone_key, CLIENT, 5, PrecheckRequest(ip_quota=quota))
    full = phone.store.precheck(phone.phone_key, CLIENT, 5, PrecheckRequest(ip_quota=quota)).risk_reasons
    usage_counters.record_approval(phone.phone_key.phone_hash, 0, quota, ())
    usage_counters.write()

    assert full == ("address_sends_per_hour",)
    assert (
        phone.store.precheck(phone.phone_key, CLIENT, 5, PrecheckRequest(ip_quota=quota)).risk_reasons == ()
    )


def test_record_only_guard_emits_what_it_would_do(
    usage_counters: RedisUsageCounters, events: RecordingEvents
) -> None:
    limits = ConversionLimits(min_unverified=3, max_unverified_ratio=0.5, block_multiplier=2)
    scope = ConversionScope("country", f"country:{secrets.token_urlsafe(4)}", limits)
    actions = []
    for _ in range(3):
        for _ in range(5):
            usage_counters.record_send([scope])
        usage_counters.write()
        actions.append(
            [facts["action"] for name, facts in events.emitted if name == "pumping_guard_state_changed"]
        )
    for _ in range(20):
        usage_counters.record_approval("t" * 16, 0, None, [scope])
    usage_counters.write()

    emitted = [facts["action"] for name, facts in events.emitted if name == "pumping_guard_state_changed"]
    assert actions == [[], ["challenge"], ["challenge", "block"]]
    assert emitted == ["challenge", "block", "none"]


# ── what narrow scopes take out of broad ones ──

BROAD_SCOPES = ConversionLimits(min_unverified=1000)
NARROW = ConversionLimits(min_unverified=6, max_unverified_ratio=0.5, block_multiplier=3, strict_ratio=0.5)
"""Suspect when a fourth SMS would be unverified; tripped by a seventh, or a fourteenth in three minutes."""


def a_scope(kind: str) -> ConversionScope:
    is_broad = kind in ("country", "client")
    name = f"{kind}:{secrets.token_urlsafe(6)}"
    return ConversionScope(kind, name, BROAD_SCOPES if is_broad else NARROW, is_broad=is_broad)


def sent(usage_counters: RedisUsageCounters, count: int, *scopes: ConversionScope) -> None:
    for _ in range(count):
        usage_counters.record_send(scopes)


def counted(phone: Phone, *scopes: ConversionScope) -> list[tuple[int, int]]:
    """Return the sent and verified SMS of each scope."""
    precheck = phone.store.precheck(phone.phone_key, CLIENT, 5, PrecheckRequest(conversion_scopes=scopes))
    return [(reading.sent, reading.verified) for reading in precheck.conversions]


def suspects(phone: Phone, *scopes: ConversionScope) -> list[int]:
    """Return the suspects that broad scopes know of. They follow the minutes, and their spans are hours."""
    return [_suspects(phone.client.get(f"otp:guard:{{{scope.name}}}") or b"\2\0") for scope in scopes]


def _suspects(stored: bytes) -> int:
    spans = [stored[at : at + 10] for at in range(2, len(stored), 10)][stored[1] :]
    numbered = [(int.from_bytes(span[:4], "big"), int.from_bytes(span[4:7], "big")) for span in spans]
    return sum(count for number, count in numbered if number < 10_000_000)


def test_suspect_ip_takes_only_its_own_sms_out_of_each_country(
    phone: Phone, usage_counters: RedisUsageCounters
) -> None:
    here, there, client = a_scope("country"), a_scope("country"), a_scope("client")
    home, other_home = a_scope("quota"), a_scope("quota")
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
def test_two_clients_in_one_write_keep_the_sms_that_the_prefix_does_not_cover(
    phone: Phone, usage_counters: RedisUsageCounters, first: int, second: int
) -> None:
    country, mall, bank = a_scope("country"), a_scope("client"), a_scope("client")
    prefix, other_prefix = a_scope("prefix"), a_scope("prefix")
    sent(usage_counters, 2, country, mall, other_prefix)
    sent(usage_counters, first, country, mall, prefix)
    sent(usage_counters, second, country, bank, prefix)
    usage_counters.write()

    assert counted(phone, country, mall, bank) == [(2, 0), (2, 0), (0, 0)]


def test_prefix_of_several_clients_is_one_suspect_of_their_country(
    phone: Phone, usage_counters: RedisUsageCounters
) -> None:
    country, mall, bank, prefix = a_scope("country"), a_scope("client"), a_scope("client"), a_scope("prefix")
    actions = []
    for count in (2, 20):
        sent(usage_counters, count, country, mall, prefix)
        sent(usage_counters, count, country, bank, prefix)
        usage_counters.write()
        actions.append(suspects(phone, country, mall, bank))
    for _ in range(44):
        usage_counters.record_approval("t" * 16, 0, None, [country, mall, prefix])
    usage_counters.write()

    assert actions == [[1, 1, 1], [20, 20, 20]]
    assert suspects(phone, country, mall, bank) == [0, 0, 0]
    # The SMS that both have sent there count again.
    assert counted(phone, country, mall, bank) == [(44, 44), (22, 44), (22, 0)]


def test_client_without_sms_to_the_prefix_is_unchanged(
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


def test_share_of_a_client_expires_with_its_day_and_every_key_has_a_ttl(
    phone: Phone, usage_counters: RedisUsageCounters
) -> None:
    country, mall, bank, prefix = a_scope("country"), a_scope("client"), a_scope("client"), a_scope("prefix")
    key = f"otp:guard:{{{prefix.name}}}"
    actions = []
    for client in (bank, mall):
        sent(usage_counters, 1, country, client, prefix)
        usage_counters.write()
        actions.append(bank.name.encode() in (phone.client.get(key) or b""))
        phone.pass_time(25 * 3600)

    assert actions == [True, False]
    ttls = [phone.client.ttl(f"otp:guard:{{{each.name}}}") for each in (country, mall, bank, prefix)]
    assert all(0 < ttl <= 25 * 3600 for ttl in ttls)


# ── the thread and the store ──


@pytest.fixture
def running(usage_counters: RedisUsageCounters) -> Iterator[RedisUsageCounters]:
    usage_counters.start()
    yield usage_counters
    usage_counters.close()


def test_thread_writes_counters_by_itself(running: RedisUsageCounters, phone: Phone) -> None:

    quota = an_ip_quota()
    running.record_miss(quota)

    assert eventually(lambda: phone.client.exists(f"otp:misses:{{{quota.ip_hash}}}"))


def test_closing_writes_the_rest(usage_counters: RedisUsageCounters, phone: Phone) -> None:
    quota = an_ip_quota()
    usage_counters.record_miss(quota)
    usage_counters.close()

    assert 0 < phone.client.ttl(f"otp:misses:{{{quota.ip_hash}}}") <= 660


def test_bug_in_one_write_ends_neither_the_thread_nor_its_close(
    phone: Phone, clock: fakes.FakeClock, events: RecordingEvents
) -> None:

    unreadable = [b"ok"]
    pending = [unreadable]

    def run_scripts(calls: Sequence[Call]) -> list[list[Any]]:
        replies = phone.store.redis.run_scripts(calls)
        return [pending.pop() if pending else reply for reply in replies]

    usage_counters = RedisUsageCounters(run_scripts, limits=LIMITS, clock=clock, events=events)
    usage_counters.start()
    assert eventually(lambda: not pending)
    quota = an_ip_quota()
    usage_counters.record_miss(quota)

    assert eventually(lambda: phone.client.exists(f"otp:misses:{{{quota.ip_hash}}}"))
    pending.append(unreadable)
    usage_counters.close()
    (first, facts), second = events.emitted
    assert first == second[0] == "unhandled_exception"
    assert (facts["endpoint"], facts["error"]) == ("usage_counters", "ValueError")


class Broken:
    """A store that fails and counts its calls; unless *works*, every call fails."""

    def __init__(self, works: Callable[[Sequence[Call]], list[list[Any]]] | None = None) -> None:
        self.calls = 0
        self.is_down = works is None
        self._works = works

    def write(self, calls: Sequence[Call]) -> list[list[Any]]:
        self.calls += len(calls)
        if self.is_down or self._works is None:
            raise StoreUnavailable
        return self._works(calls)


def test_store_failure_loses_counts_and_raises_nothing(
    clock: fakes.FakeClock, events: RecordingEvents
) -> None:
    broken = Broken()
    usage_counters = RedisUsageCounters(broken.write, limits=LIMITS, clock=clock, events=events)
    quota = an_ip_quota()
    usage_counters.record_miss(quota)
    usage_counters.write()
    usage_counters.write()

    # Nothing is sent again, because the store may have counted it.
    assert broken.calls == 2 + 1
    assert admitted(usage_counters, quota, 20) == 6


def test_outage_without_lost_counts_emits_nothing(clock: fakes.FakeClock, events: RecordingEvents) -> None:
    usage_counters = RedisUsageCounters(Broken().write, limits=LIMITS, clock=clock, events=events)
    for _ in range(5):
        usage_counters.write()
    usage_counters.close()

    assert events.emitted == []


def test_lost_counts_are_emitted_once_after_the_outage(
    phone: Phone, clock: fakes.FakeClock, events: RecordingEvents
) -> None:
    broken = Broken(phone.store.redis.run_scripts)
    broken.is_down = True
    usage_counters = RedisUsageCounters(broken.write, limits=LIMITS, clock=clock, events=events)
    for _ in range(2):
        usage_counters.record_miss(an_ip_quota())
        usage_counters.record_failure()
        usage_counters.write()
        usage_counters.write()
    during = list(events.emitted)
    broken.is_down = False
    usage_counters.write()
    usage_counters.write()

    assert during == []
    assert events.emitted == [("counter_flush_failed", {"entries": 4})]


def test_lost_counts_are_emitted_when_the_process_ends_during_the_outage(
    clock: fakes.FakeClock, events: RecordingEvents
) -> None:
    usage_counters = RedisUsageCounters(Broken().write, limits=LIMITS, clock=clock, events=events)
    usage_counters.record_failure()
    usage_counters.close()

    assert events.emitted == [("counter_flush_failed", {"entries": 1})]


def test_every_counter_key_has_a_ttl(
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


def test_same_ip_with_different_limits_shares_its_misses(usage_counters: RedisUsageCounters) -> None:
    quota = an_ip_quota()
    stricter = replace(quota, limits=replace(quota.limits, misses_per_10_minutes=3))
    admitted(usage_counters, quota, 2)
    usage_counters.write()

    assert admitted(usage_counters, stricter, 5) == 1
