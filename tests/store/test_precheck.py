"""The pre-check: limits per IP address, the pumping guard and idempotency in one round trip."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest
from support.events import RecordingEvents
from support.phone_in_store import CLIENT, Phone, make_phone
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


def an_ip_quota(limits: IpLimits = SMALL) -> ClientIpQuota:
    return ClientIpQuota(secrets.token_urlsafe(12), limits)


def another(phone: Phone) -> Phone:
    """Another phone in the same store."""
    return replace(phone, phone_key=replace(phone.phone_key, phone_hash=secrets.token_urlsafe(12)))


def run_precheck(phone: Phone, quota: ClientIpQuota, **more: object) -> PrecheckResult:
    return phone.store.precheck(phone.phone_key, CLIENT, 5, PrecheckRequest(ip_quota=quota, **more))  # type: ignore[arg-type]


def refusal(precheck: PrecheckResult) -> tuple[str, int]:
    assert isinstance(precheck.rejection, LimitReached)
    return precheck.rejection.limit, precheck.rejection.retry_after


# ── addresses ──


def test_ip_beyond_its_hourly_sends_needs_a_challenge(phone: Phone) -> None:
    quota = an_ip_quota()

    asked = [run_precheck(phone, quota).risk_reasons for _ in range(4)]

    assert asked == [(), (), (), ("address_sends_per_hour",)]


def test_solved_challenge_admits_the_ip_until_its_block(phone: Phone) -> None:
    quota = an_ip_quota()
    for number in range(6):
        assert (
            run_precheck(phone, quota, solved_challenge_id=f"solved-{number}", solution_ttl=60).rejection
            is None
        )

    precheck = run_precheck(phone, quota, solved_challenge_id="solved-6", solution_ttl=60)

    limit, wait = refusal(precheck)
    assert limit == "address_sends_per_hour"
    assert 3590 <= wait <= 3600


def test_request_without_a_solution_is_not_counted(phone: Phone) -> None:
    quota = an_ip_quota()
    for _ in range(10):
        run_precheck(phone, quota)

    assert run_precheck(phone, quota, solved_challenge_id="s", solution_ttl=60).rejection is None


def test_block_of_an_ip_ends_after_its_wait(phone: Phone) -> None:
    quota = an_ip_quota()
    for number in range(6):
        run_precheck(phone, quota, solved_challenge_id=f"s{number}", solution_ttl=60)
    _, wait = refusal(run_precheck(phone, quota))

    phone.pass_time(wait - 2)
    assert refusal(run_precheck(phone, quota))[1] <= 2
    phone.pass_time(2)
    assert run_precheck(phone, quota).rejection is None


def test_day_and_phones_have_their_own_limits(phone: Phone) -> None:
    quota = an_ip_quota(replace(SMALL, sends_per_hour=100))
    phones = [another(phone) for _ in range(5)]
    by_phones = [run_precheck(each, quota).risk_reasons for each in phones]
    patient = an_ip_quota(replace(SMALL, phones_per_day=100))
    by_day = []
    for _ in range(6):
        by_day.append(run_precheck(phone, patient).risk_reasons)
        phone.pass_time(3601)

    assert by_phones == [(), (), (), (), ("address_phones_per_day",)]
    assert by_day == [(), (), (), (), (), ("address_sends_per_day",)]


def test_same_phone_counts_once_among_the_phones(phone: Phone) -> None:
    quota = an_ip_quota(replace(SMALL, sends_per_hour=100, sends_per_day=100))

    assert [run_precheck(phone, quota).risk_reasons for _ in range(20)] == [()] * 20


def test_verified_phones_leave_the_ip_log_and_raise_its_limits(phone: Phone) -> None:
    quota = an_ip_quota()
    phones = [another(phone) for _ in range(2)]
    for each in phones:
        run_precheck(each, quota)
    verified = Call(
        "ip_approved", [f"otp:address:{{{quota.ip_hash}}}"], [p.phone_key.phone_hash[:6] for p in phones]
    )
    phone.store.redis.run_scripts([verified])

    # Two sends have left the log, and two verified phones allow one more.
    assert [run_precheck(phone, quota).risk_reasons for _ in range(5)] == [
        (),
        (),
        (),
        (),
        ("address_sends_per_hour",),
    ]


def test_released_send_leaves_the_ip_log_and_the_scopes(phone: Phone) -> None:
    quota, prefix = an_ip_quota(), scope()
    first = run_precheck(phone, quota, conversion_scopes=(prefix,))
    second = run_precheck(phone, quota, conversion_scopes=(prefix,))
    phone.store.release_quota(phone.phone_key.phone_hash, second.reservation)

    third = run_precheck(phone, quota, conversion_scopes=(prefix,))
    assert first.reservation == second.reservation == QuotaReservation(quota, (prefix,))
    assert [each.conversions[0].sent for each in (first, second, third)] == [1, 2, 2]
    # One more of three fits, so one of the three has left the log.
    assert [run_precheck(phone, quota).risk_reasons for _ in range(2)] == [(), ("address_sends_per_hour",)]


def test_release_removes_the_newest_send_of_the_phone(phone: Phone) -> None:
    quota = an_ip_quota()
    other = another(phone)
    run_precheck(phone, quota)
    phone.pass_time(3_000)
    for each in (other, phone):
        counted = run_precheck(each, quota).reservation
    phone.store.release_quota(phone.phone_key.phone_hash, counted)
    phone.pass_time(700)

    # The oldest send has left the hour, and the other phone's is still in it.
    assert [run_precheck(phone, quota).risk_reasons for _ in range(3)] == [
        (),
        (),
        ("address_sends_per_hour",),
    ]


def test_rejected_ip_counts_nothing(phone: Phone) -> None:
    quota, prefix = an_ip_quota(), scope()
    for _ in range(3):
        run_precheck(phone, quota)

    assert run_precheck(phone, quota, conversion_scopes=(prefix,)).reservation == QuotaReservation(
        None, (prefix,)
    )


def test_no_challenge_is_required_where_challenges_are_disabled(phone: Phone) -> None:
    quota = an_ip_quota()
    prechecks = [run_precheck(phone, quota, challenges_disabled=True) for _ in range(7)]

    assert [precheck.risk_reasons for precheck in prechecks] == [()] * 7
    assert [precheck.rejection is None for precheck in prechecks] == [True] * 6 + [False]


def test_rejection_with_the_longest_wait_is_returned(phone: Phone) -> None:
    quota = an_ip_quota()
    for number in range(6):
        run_precheck(another(phone), quota, solved_challenge_id=f"s{number}", solution_ttl=60)
    phone.open()

    precheck = run_precheck(phone, quota)

    assert isinstance(precheck.rejection, LimitReached)
    assert isinstance(
        phone.store.precheck(phone.phone_key, CLIENT, 5, PrecheckRequest()).rejection, CooldownActive
    )


def test_ip_log_stays_short_and_expires(phone: Phone) -> None:
    quota = an_ip_quota(IpLimits(sends_per_hour=1000, sends_per_day=5, block_multiplier=2))
    for number in range(40):
        run_precheck(phone, quota, solved_challenge_id=f"s{number}", solution_ttl=60)

    key = f"otp:address:{{{quota.ip_hash}}}"
    assert phone.client.strlen(key) <= 1 + 76 + 10 * 12
    assert 0 < phone.client.ttl(key) <= 25 * 3600


def test_ip_log_expires_after_a_clock_step_back(phone: Phone) -> None:
    phone.pass_time(7200)
    quota = an_ip_quota()
    for number in range(6):
        run_precheck(phone, quota, solved_challenge_id=f"s{number}", solution_ttl=60)
    phone.pass_time(-7200)

    assert refusal(run_precheck(phone, quota))[1] <= 3600


# ── the pumping guard ──


def scope(min_unverified: int = 4, **limits: float) -> ConversionScope:
    made = ConversionLimits(
        min_unverified=min_unverified,
        max_unverified_ratio=limits.get("max_unverified_ratio", 0.5),
        block_multiplier=2,
    )
    return ConversionScope("prefix", f"prefix:{secrets.token_urlsafe(6)}", made)


def readings(phone: Phone, prefix: ConversionScope, times: int) -> list[int]:
    return [
        phone.store.precheck(
            another(phone).phone_key, CLIENT, 5, PrecheckRequest(conversion_scopes=(prefix,))
        )
        .conversions[0]
        .level
        for _ in range(times)
    ]


def verified(phone: Phone, prefix: ConversionScope, count: int) -> None:
    usage_counters = RedisUsageCounters(
        phone.store.redis.run_scripts,
        limits=GlobalFailureLimits(),
        clock=SystemClock(),
        events=RecordingEvents(),
    )
    for _ in range(count):
        usage_counters.record_approval("t" * 16, 0, None, [prefix])
    usage_counters.write()


def test_half_of_the_young_sms_count_as_unverified(phone: Phone) -> None:
    assert readings(phone, scope(), 18) == [0] * 9 + [1] * 8 + [2]


def test_sms_unverified_for_three_minutes_count(phone: Phone) -> None:
    prefix = scope()
    readings(phone, prefix, 4)
    phone.pass_time(300)

    assert readings(phone, prefix, 3) == [0, 1, 1]


def test_verified_sms_are_not_suspicious(phone: Phone) -> None:
    prefix = scope()
    for _ in range(20):
        assert readings(phone, prefix, 3) == [0, 0, 0]
        verified(phone, prefix, 3)
        phone.pass_time(60)


def test_threshold_grows_with_the_verified_sms(phone: Phone) -> None:
    prefix = scope()
    readings(phone, prefix, 6)
    verified(phone, prefix, 20)
    readings(phone, prefix, 14)
    phone.pass_time(300)

    assert readings(phone, prefix, 10) == [0] * 10


def test_scope_is_calm_after_a_day(phone: Phone) -> None:
    prefix = scope()
    readings(phone, prefix, 12)
    phone.pass_time(25 * 3600)

    assert readings(phone, prefix, 1) == [0]


def test_broad_scope_is_read_and_not_counted(phone: Phone) -> None:
    country = replace(scope(), kind="country", is_broad=True)

    readings_seen = [
        phone.store.precheck(phone.phone_key, CLIENT, 5, PrecheckRequest(conversion_scopes=(country,)))
        for _ in range(3)
    ]

    assert [(precheck.conversions[0].sent, precheck.reservation) for precheck in readings_seen] == [
        (0, QuotaReservation())
    ] * 3
    assert phone.client.exists(f"otp:guard:{{{country.name}}}") == 0


def test_scope_keeps_its_counts_after_a_clock_step_back(phone: Phone) -> None:
    prefix = scope()
    phone.pass_time(7200)
    readings(phone, prefix, 9)
    phone.pass_time(-7200)

    assert readings(phone, prefix, 1) == [1]


def test_scopes_are_counted_separately_and_returned_in_order(phone: Phone) -> None:
    first, second = scope(), replace(scope(), kind="country")
    readings(phone, first, 3)

    readings_seen = phone.store.precheck(
        phone.phone_key, CLIENT, 5, PrecheckRequest(conversion_scopes=(first, second))
    ).conversions

    assert [(reading.kind, reading.sent) for reading in readings_seen] == [("prefix", 4), ("country", 1)]


# ── solutions ──


def test_solution_is_accepted_once_for_its_phone(phone: Phone) -> None:
    def is_accepted_for(phone: Phone) -> bool:
        return phone.store.precheck(
            phone.phone_key, CLIENT, 5, PrecheckRequest(solved_challenge_id="c" * 22, solution_ttl=60)
        ).challenge_accepted

    assert [is_accepted_for(phone), is_accepted_for(phone), is_accepted_for(another(phone))] == [
        True,
        False,
        True,
    ]
    (mark,) = phone.stored_keys()
    assert 0 < phone.client.ttl(mark) <= 60


# ── everything at once ──


def test_precheck_is_one_round_trip(phone: Phone) -> None:
    trips: list[int] = []
    run = phone.runner.run

    def counted(*calls: Call, durable: bool = False) -> PipelineResult:
        trips.append(len(calls))
        return run(*calls, durable=durable)

    phone.runner.run = counted  # type: ignore[method-assign]
    everything = PrecheckRequest(
        ip_quota=an_ip_quota(),
        conversion_scopes=(scope(), scope()),
        solved_challenge_id="x",
        solution_ttl=60,
        idempotency=IdempotencyRecord(secrets.token_urlsafe(12), b"f" * 16, "result_id"),
    )

    precheck = phone.store.precheck(phone.phone_key, CLIENT, 5, everything)

    assert trips == [6]
    assert precheck.challenge_accepted
    assert precheck.idempotency is not None
    assert precheck.idempotency.state is IdempotencyState.NEW
    assert len(precheck.conversions) == 2


# ── idempotency keys ──


def a_record(fingerprint: bytes = b"f" * 16, result_id: str = "result_id") -> IdempotencyRecord:
    return IdempotencyRecord(secrets.token_urlsafe(12), fingerprint, result_id)


def test_first_call_proceeds_and_its_repeats_wait(phone: Phone) -> None:
    record = a_record()

    first, second = (
        phone.store.begin_idempotent(record),
        phone.store.begin_idempotent(replace(record, result_id="other")),
    )

    assert (first.state, first.result_id) == (IdempotencyState.NEW, "result_id")
    assert second.state is IdempotencyState.IN_PROGRESS
    assert 9 <= second.wait <= 10


def test_finished_record_returns_its_result(phone: Phone) -> None:
    record = a_record()
    phone.store.begin_idempotent(record)
    phone.store.finish_idempotent(record, "result")

    readings_seen = phone.store.begin_idempotent(replace(record, result_id="new"))

    assert (readings_seen.state, readings_seen.result_id) == (IdempotencyState.DONE, "result")
    assert 0 < phone.client.ttl(f"otp:claim:{{{record.key_hash}}}") <= 3600


def test_record_of_a_rejected_call_is_free_again(phone: Phone) -> None:
    record = a_record()
    phone.store.begin_idempotent(record)
    phone.store.finish_idempotent(record)

    assert phone.store.begin_idempotent(record).state is IdempotencyState.NEW


def test_abandoned_record_passes_to_the_next_call_with_its_result_id(phone: Phone) -> None:
    record = a_record()
    phone.store.begin_idempotent(record)
    phone.pass_time(11)

    stale, busy = (
        phone.store.begin_idempotent(replace(record, result_id="new")),
        phone.store.begin_idempotent(record),
    )

    assert (stale.state, stale.result_id) == (IdempotencyState.ABANDONED, "result_id")
    assert busy.state is IdempotencyState.IN_PROGRESS


@pytest.mark.parametrize("ended", [False, True])
def test_payload_mismatch_is_returned_at_once(phone: Phone, ended: bool) -> None:  # noqa: FBT001
    record = a_record()
    phone.store.begin_idempotent(record)
    if ended:
        phone.store.finish_idempotent(record, "result")

    assert (
        phone.store.begin_idempotent(replace(record, fingerprint=b"g" * 16)).state
        is IdempotencyState.PAYLOAD_MISMATCH
    )


def test_record_of_another_call_is_not_finished(phone: Phone) -> None:
    record = a_record()
    phone.store.begin_idempotent(record)
    phone.store.finish_idempotent(replace(record, fingerprint=b"g" * 16))

    assert phone.store.begin_idempotent(record).state is IdempotencyState.IN_PROGRESS


def test_idempotency_record_of_a_newer_version_is_left_alone(phone: Phone) -> None:
    record = a_record()
    phone.client.set(f"otp:claim:{{{record.key_hash}}}", b"\x02newer", ex=60)

    with pytest.raises(StoreUnavailable):
        phone.store.begin_idempotent(record)


def test_record_after_a_clock_step_back_does_not_wait_longer(phone: Phone) -> None:
    record = a_record()
    phone.pass_time(7200)
    phone.store.begin_idempotent(record)
    phone.pass_time(-7200)

    assert phone.store.begin_idempotent(record).wait <= 10


def test_third_round_trip_finishes_the_idempotency_record(backend: Backend) -> None:
    phone = make_phone(*backend)
    record = a_record(result_id="v" * 22)
    phone.store.begin_idempotent(record)
    verification = phone.open(result=None)
    result = SendResultRecord(
        verification.verification_hash,
        1,
        SendDisposition.ACCEPTED,
        "main",
        ttl=300,
        taken_at=verification.now,
    )
    phone.store.record_send_result(phone.phone_key, CLIENT, result, (), record)

    assert phone.store.begin_idempotent(record).state is IdempotencyState.DONE
