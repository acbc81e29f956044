"""The first flush: what an address has caused, the guard, and everything else in one round trip."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace

import pytest
from support.phone_stories import CLIENT, Phone, Quiet, make_phone
from support.store_backends import Backend

from otp_service.domain.errors import CooldownActive, LimitReached, StoreUnavailable
from otp_service.domain.idempotency import IdempotencyRecord, IdempotencyState
from otp_service.domain.limits import ConversionLimits, GlobalFailureLimits, IpLimits
from otp_service.domain.risk import (
    ClientIpQuota,
    ConversionScope,
    PrecheckRequest,
    PrecheckResult,
    QuotaReservation,
)
from otp_service.domain.verification import SendDisposition, SendResultRecord
from otp_service.observability.clock import SystemClock
from otp_service.store.backend import PipelineResult
from otp_service.store.counters import RedisUsageCounters
from otp_service.store.scripts import Call

SMALL = IpLimits(
    sends_per_hour=3, sends_per_day=5, phones_per_day=4, block_multiplier=2, verified_allowance_ratio=0.5
)


def an_address(limits: IpLimits = SMALL) -> ClientIpQuota:
    return ClientIpQuota(secrets.token_urlsafe(12), limits)


def another(phone: Phone) -> Phone:
    """Another phone in the same store."""
    return replace(phone, slot=replace(phone.slot, phone_hash=secrets.token_urlsafe(12)))


def run_precheck(phone: Phone, address: ClientIpQuota, **more: object) -> PrecheckResult:
    return phone.store.precheck(phone.slot, CLIENT, 5, PrecheckRequest(ip_quota=address, **more))  # type: ignore[arg-type]


def refusal(standing: PrecheckResult) -> tuple[str, int]:
    assert isinstance(standing.rejection, LimitReached)
    return standing.rejection.limit, standing.rejection.retry_after


# ── addresses ──


def test_address_is_asked_for_a_challenge_beyond_its_hourly_sends(phone: Phone) -> None:
    address = an_address()

    asked = [run_precheck(phone, address).risk_reasons for _ in range(4)]

    assert asked == [(), (), (), ("address_sends_per_hour",)]


def test_solved_challenge_lets_the_address_on_until_it_is_refused(phone: Phone) -> None:
    address = an_address()
    for number in range(6):
        assert (
            run_precheck(phone, address, solved_challenge_id=f"solved-{number}", solution_ttl=60).rejection
            is None
        )

    standing = run_precheck(phone, address, solved_challenge_id="solved-6", solution_ttl=60)

    limit, wait = refusal(standing)
    assert limit == "address_sends_per_hour"
    assert 3590 <= wait <= 3600


def test_unsolved_request_is_not_counted(phone: Phone) -> None:
    address = an_address()
    for _ in range(10):
        run_precheck(phone, address)

    assert run_precheck(phone, address, solved_challenge_id="s", solution_ttl=60).rejection is None


def test_refusal_of_an_address_ends_when_it_says(phone: Phone) -> None:
    address = an_address()
    for number in range(6):
        run_precheck(phone, address, solved_challenge_id=f"s{number}", solution_ttl=60)
    _, wait = refusal(run_precheck(phone, address))

    phone.pass_time(wait - 2)
    assert refusal(run_precheck(phone, address))[1] <= 2
    phone.pass_time(2)
    assert run_precheck(phone, address).rejection is None


def test_day_and_phones_have_limits_of_their_own(phone: Phone) -> None:
    address = an_address(replace(SMALL, sends_per_hour=100))
    phones = [another(phone) for _ in range(5)]
    by_phones = [run_precheck(each, address).risk_reasons for each in phones]
    patient = an_address(replace(SMALL, phones_per_day=100))
    by_day = []
    for _ in range(6):
        by_day.append(run_precheck(phone, patient).risk_reasons)
        phone.pass_time(3601)

    assert by_phones == [(), (), (), (), ("address_phones_per_day",)]
    assert by_day == [(), (), (), (), (), ("address_sends_per_day",)]


def test_same_phone_counts_once_among_the_phones(phone: Phone) -> None:
    address = an_address(replace(SMALL, sends_per_hour=100, sends_per_day=100))

    assert [run_precheck(phone, address).risk_reasons for _ in range(20)] == [()] * 20


def test_verified_phones_leave_the_log_and_make_room(phone: Phone) -> None:
    address = an_address()
    phones = [another(phone) for _ in range(2)]
    for each in phones:
        run_precheck(each, address)
    verified = Call(
        "ip_approved", [f"otp:address:{{{address.ip_hash}}}"], [p.slot.phone_hash[:6] for p in phones]
    )
    phone.store.redis.run_scripts([verified])

    # Two sends are forgotten, and one more is allowed for two that were verified.
    assert [run_precheck(phone, address).risk_reasons for _ in range(5)] == [
        (),
        (),
        (),
        (),
        ("address_sends_per_hour",),
    ]


def test_uncounted_send_leaves_the_address_and_the_guard(phone: Phone) -> None:
    address, guard = an_address(), scope()
    first = run_precheck(phone, address, conversion_scopes=(guard,))
    second = run_precheck(phone, address, conversion_scopes=(guard,))
    phone.store.release_quota(phone.slot.phone_hash, second.reservation)

    third = run_precheck(phone, address, conversion_scopes=(guard,))
    assert first.reservation == second.reservation == QuotaReservation(address, (guard,))
    assert [each.conversions[0].sent for each in (first, second, third)] == [1, 2, 2]
    # One more of three fits, so the address has forgotten one of the three.
    assert [run_precheck(phone, address).risk_reasons for _ in range(2)] == [(), ("address_sends_per_hour",)]


def test_uncounted_send_is_the_newest_one_of_its_phone(phone: Phone) -> None:
    address = an_address()
    other = another(phone)
    run_precheck(phone, address)
    phone.pass_time(3_000)
    for each in (other, phone):
        counted = run_precheck(each, address).reservation
    phone.store.release_quota(phone.slot.phone_hash, counted)
    phone.pass_time(700)

    # The oldest send has left the hour, and the other phone's is still in it.
    assert [run_precheck(phone, address).risk_reasons for _ in range(3)] == [
        (),
        (),
        ("address_sends_per_hour",),
    ]


def test_nothing_is_counted_where_the_address_says_no(phone: Phone) -> None:
    address, guard = an_address(), scope()
    for _ in range(3):
        run_precheck(phone, address)

    assert run_precheck(phone, address, conversion_scopes=(guard,)).reservation == QuotaReservation(
        None, (guard,)
    )


def test_nobody_is_asked_where_there_are_no_challenges(phone: Phone) -> None:
    address = an_address()
    standings = [run_precheck(phone, address, challenges_disabled=True) for _ in range(7)]

    assert [standing.risk_reasons for standing in standings] == [()] * 7
    assert [standing.rejection is None for standing in standings] == [True] * 6 + [False]


def test_longest_of_several_refusals_is_told(phone: Phone) -> None:
    address = an_address()
    for number in range(6):
        run_precheck(another(phone), address, solved_challenge_id=f"s{number}", solution_ttl=60)
    phone.open()

    standing = run_precheck(phone, address)

    assert isinstance(standing.rejection, LimitReached)
    assert isinstance(
        phone.store.precheck(phone.slot, CLIENT, 5, PrecheckRequest()).rejection, CooldownActive
    )


def test_log_of_an_address_stays_short_and_goes(phone: Phone) -> None:
    address = an_address(IpLimits(sends_per_hour=1000, sends_per_day=5, block_multiplier=2))
    for number in range(40):
        run_precheck(phone, address, solved_challenge_id=f"s{number}", solution_ttl=60)

    key = f"otp:address:{{{address.ip_hash}}}"
    assert phone.client.strlen(key) <= 1 + 76 + 10 * 12
    assert 0 < phone.client.ttl(key) <= 25 * 3600


def test_address_after_a_clock_step_back_still_runs_out(phone: Phone) -> None:
    phone.pass_time(7200)
    address = an_address()
    for number in range(6):
        run_precheck(phone, address, solved_challenge_id=f"s{number}", solution_ttl=60)
    phone.pass_time(-7200)

    assert refusal(run_precheck(phone, address))[1] <= 3600


# ── the guard ──


def scope(min_unverified: int = 4, **limits: float) -> ConversionScope:
    made = ConversionLimits(
        min_unverified=min_unverified,
        max_unverified_ratio=limits.get("max_unverified_ratio", 0.5),
        block_multiplier=2,
    )
    return ConversionScope("prefix", f"prefix:{secrets.token_urlsafe(6)}", made)


def readings(phone: Phone, guard: ConversionScope, times: int) -> list[int]:
    return [
        phone.store.precheck(another(phone).slot, CLIENT, 5, PrecheckRequest(conversion_scopes=(guard,)))
        .conversions[0]
        .level
        for _ in range(times)
    ]


def verified(phone: Phone, guard: ConversionScope, count: int) -> None:
    usage_counters = RedisUsageCounters(
        phone.store.redis.run_scripts, limits=GlobalFailureLimits(), clock=SystemClock(), events=Quiet()
    )
    for _ in range(count):
        usage_counters.record_approval("t" * 16, 0, None, [guard])
    usage_counters.write()


def test_half_of_what_is_young_counts_as_unverified(phone: Phone) -> None:
    assert readings(phone, scope(), 18) == [0] * 9 + [1] * 8 + [2]


def test_all_that_nobody_verified_for_three_minutes_counts(phone: Phone) -> None:
    guard = scope()
    readings(phone, guard, 4)
    phone.pass_time(300)

    assert readings(phone, guard, 3) == [0, 1, 1]


def test_verified_sms_are_no_suspicion(phone: Phone) -> None:
    guard = scope()
    for _ in range(20):
        assert readings(phone, guard, 3) == [0, 0, 0]
        verified(phone, guard, 3)
        phone.pass_time(60)


def test_threshold_grows_with_what_is_verified(phone: Phone) -> None:
    guard = scope()
    readings(phone, guard, 6)
    verified(phone, guard, 20)
    readings(phone, guard, 14)
    phone.pass_time(300)

    assert readings(phone, guard, 10) == [0] * 10


def test_day_passes(phone: Phone) -> None:
    guard = scope()
    readings(phone, guard, 12)
    phone.pass_time(25 * 3600)

    assert readings(phone, guard, 1) == [0]


def test_what_earlier_versions_counted_goes_on_counting(phone: Phone) -> None:
    """They kept 24 hours and 4 minutes, sent and verified apart, in rings: newest span u32, counts u24."""
    guard, now = scope(), time.time()
    hours, minutes = int(now // 3600), int(now // 60)
    rings = [
        ring(hours, 24, {1: 5, 22: 4}),
        ring(hours, 24, {1: 2}),
        ring(minutes, 4, {}),
        ring(minutes, 4, {}),
    ]
    phone.client.set(f"otp:guard:{{{guard.name}}}", b"".join(rings), px=60_000)

    (reading,) = phone.store.precheck(
        phone.slot, CLIENT, 5, PrecheckRequest(conversion_scopes=(guard,))
    ).conversions
    assert (reading.sent, reading.verified, reading.unverified) == (10, 2, 7)
    phone.pass_time(7200)
    (reading,) = phone.store.precheck(
        phone.slot, CLIENT, 5, PrecheckRequest(conversion_scopes=(guard,))
    ).conversions
    assert (reading.sent, reading.verified) == (7, 2)


def ring(newest: int, size: int, counts: dict[int, int]) -> bytes:
    return newest.to_bytes(4, "big") + b"".join(counts.get(i, 0).to_bytes(3, "big") for i in range(size))


def test_broad_scope_is_read_and_not_counted(phone: Phone) -> None:
    country = replace(scope(), kind="country", is_broad=True)

    told = [
        phone.store.precheck(phone.slot, CLIENT, 5, PrecheckRequest(conversion_scopes=(country,)))
        for _ in range(3)
    ]

    assert [(standing.conversions[0].sent, standing.reservation) for standing in told] == [
        (0, QuotaReservation())
    ] * 3
    assert phone.client.exists(f"otp:guard:{{{country.name}}}") == 0


def test_what_earlier_versions_counted_in_a_broad_scope_goes_on_counting(phone: Phone) -> None:
    """They kept rings at first, then spans of hours and minutes, as narrow scopes do."""
    now = time.time()
    hours, minutes = int(now // 3600), int(now // 60)
    rings = [ring(hours, 24, {1: 5}), ring(hours, 24, {1: 2}), ring(minutes, 4, {}), ring(minutes, 4, {})]
    spans = b"\x02\x01" + kept_span(hours - 1, 5, 2) + kept_span(minutes, 1, 0)
    told = []
    for kept in (b"".join(rings), spans):
        country = replace(scope(), kind="country", is_broad=True)
        phone.client.set(f"otp:guard:{{{country.name}}}", kept, px=60_000)
        told += phone.store.precheck(
            phone.slot, CLIENT, 5, PrecheckRequest(conversion_scopes=(country,))
        ).conversions

    assert [(reading.sent, reading.verified, reading.level) for reading in told] == [(5, 2, 0)] * 2


def kept_span(number: int, sent: int, verified: int) -> bytes:
    return number.to_bytes(4, "big") + sent.to_bytes(3, "big") + verified.to_bytes(3, "big")


def test_guard_keeps_its_counts_while_the_clock_is_back(phone: Phone) -> None:
    guard = scope()
    phone.pass_time(7200)
    readings(phone, guard, 9)
    phone.pass_time(-7200)

    assert readings(phone, guard, 1) == [1]


def test_scopes_are_counted_apart_and_told_in_their_order(phone: Phone) -> None:
    first, second = scope(), replace(scope(), kind="country")
    readings(phone, first, 3)

    told = phone.store.precheck(
        phone.slot, CLIENT, 5, PrecheckRequest(conversion_scopes=(first, second))
    ).conversions

    assert [(reading.kind, reading.sent) for reading in told] == [("prefix", 4), ("country", 1)]


# ── solutions ──


def test_solution_is_fresh_once_for_its_phone(phone: Phone) -> None:
    def shown(to: Phone) -> bool:
        return to.store.precheck(
            to.slot, CLIENT, 5, PrecheckRequest(solved_challenge_id="c" * 22, solution_ttl=60)
        ).challenge_accepted

    assert [shown(phone), shown(phone), shown(another(phone))] == [True, False, True]
    (mark,) = phone.stored()
    assert 0 < phone.client.ttl(mark) <= 60


# ── everything at once ──


def test_knock_is_one_round_trip_whatever_it_touches(phone: Phone) -> None:
    trips: list[int] = []
    run = phone.runner.run

    def counted(*calls: Call, durable: bool = False) -> PipelineResult:
        trips.append(len(calls))
        return run(*calls, durable=durable)

    phone.runner.run = counted  # type: ignore[method-assign]
    everything = PrecheckRequest(
        ip_quota=an_address(),
        conversion_scopes=(scope(), scope()),
        solved_challenge_id="x",
        solution_ttl=60,
        idempotency=IdempotencyRecord(secrets.token_urlsafe(12), b"f" * 16, "what"),
    )

    standing = phone.store.precheck(phone.slot, CLIENT, 5, everything)

    assert trips == [6]
    assert standing.challenge_accepted
    assert standing.idempotency is not None
    assert standing.idempotency.state is IdempotencyState.NEW
    assert len(standing.conversions) == 2


# ── idempotency keys ──


def a_claim(fingerprint: bytes = b"f" * 16, what: str = "what") -> IdempotencyRecord:
    return IdempotencyRecord(secrets.token_urlsafe(12), fingerprint, what)


def test_first_claim_goes_on_and_the_others_wait(phone: Phone) -> None:
    claim = a_claim()

    first, second = (
        phone.store.begin_idempotent(claim),
        phone.store.begin_idempotent(replace(claim, result_id="other")),
    )

    assert (first.state, first.result_id) == (IdempotencyState.NEW, "what")
    assert second.state is IdempotencyState.IN_PROGRESS
    assert 9 <= second.wait <= 10


def test_ended_claim_tells_what_it_led_to(phone: Phone) -> None:
    claim = a_claim()
    phone.store.begin_idempotent(claim)
    phone.store.finish_idempotent(claim, "result")

    told = phone.store.begin_idempotent(replace(claim, result_id="new"))

    assert (told.state, told.result_id) == (IdempotencyState.DONE, "result")
    assert 0 < phone.client.ttl(f"otp:claim:{{{claim.key_hash}}}") <= 3600


def test_refused_claim_is_free_again(phone: Phone) -> None:
    claim = a_claim()
    phone.store.begin_idempotent(claim)
    phone.store.finish_idempotent(claim)

    assert phone.store.begin_idempotent(claim).state is IdempotencyState.NEW


def test_claim_of_who_is_gone_passes_on_with_what_it_was_about(phone: Phone) -> None:
    claim = a_claim()
    phone.store.begin_idempotent(claim)
    phone.pass_time(11)

    stale, busy = (
        phone.store.begin_idempotent(replace(claim, result_id="new")),
        phone.store.begin_idempotent(claim),
    )

    assert (stale.state, stale.result_id) == (IdempotencyState.ABANDONED, "what")
    assert busy.state is IdempotencyState.IN_PROGRESS


@pytest.mark.parametrize("ended", [False, True])
def test_other_payload_is_told_at_once(phone: Phone, ended: bool) -> None:  # noqa: FBT001
    claim = a_claim()
    phone.store.begin_idempotent(claim)
    if ended:
        phone.store.finish_idempotent(claim, "result")

    assert (
        phone.store.begin_idempotent(replace(claim, fingerprint=b"g" * 16)).state
        is IdempotencyState.PAYLOAD_MISMATCH
    )


def test_somebody_elses_claim_is_not_ended(phone: Phone) -> None:
    claim = a_claim()
    phone.store.begin_idempotent(claim)
    phone.store.finish_idempotent(replace(claim, fingerprint=b"g" * 16))

    assert phone.store.begin_idempotent(claim).state is IdempotencyState.IN_PROGRESS


def test_claim_of_a_newer_version_is_left_alone(phone: Phone) -> None:
    claim = a_claim()
    phone.client.set(f"otp:claim:{{{claim.key_hash}}}", b"\x02newer", ex=60)

    with pytest.raises(StoreUnavailable):
        phone.store.begin_idempotent(claim)


def test_claim_after_a_clock_step_back_does_not_wait_longer(phone: Phone) -> None:
    claim = a_claim()
    phone.pass_time(7200)
    phone.store.begin_idempotent(claim)
    phone.pass_time(-7200)

    assert phone.store.begin_idempotent(claim).wait <= 10


def test_third_flush_ends_the_claim(backend: Backend) -> None:
    phone = make_phone(*backend)
    claim = a_claim(what="v" * 22)
    phone.store.begin_idempotent(claim)
    opened = phone.open(settle=None)
    record = SendResultRecord(
        opened.verification_hash, 1, SendDisposition.ACCEPTED, "main", ttl=300, taken_at=opened.now
    )
    phone.store.record_send_result(phone.slot, CLIENT, record, (), claim)

    assert phone.store.begin_idempotent(claim).state is IdempotencyState.DONE
