"""The admin store: usage of a phone and of an IP address, clearing, and erasing a phone."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

import pytest
from support.phone_in_store import CLIENT, LIMITS, RIGHT, WRONG, Phone, make_phone
from support.store_backends import Backend

from otp_service.domain.errors import CooldownActive, LimitReached, OtpError, StoreUnavailable, WrongCode
from otp_service.domain.limits import DAY, HOUR, IpLimits, PhoneLimits
from otp_service.domain.risk import ClientIpQuota, PrecheckRequest
from otp_service.domain.verification import SendDisposition
from otp_service.store import encoding, keys
from otp_service.store.admin import SCAN_SIZE, AdminStore, ErasureResult, LimitStatus, PhoneUsage
from otp_service.store.scripts import Call

NOTHING = LimitStatus(is_restricted=False, is_locked=False, limit="", wait=0)


SMALL = IpLimits(
    sends_per_hour=4, sends_per_day=5, phones_per_day=4, block_multiplier=2, verified_allowance_ratio=0.5
)


@pytest.fixture
def admin_store(phone: Phone) -> AdminStore:
    return AdminStore(phone.store.redis)


def facts_of(admin_store: AdminStore, phone: Phone, limits: PhoneLimits = LIMITS) -> PhoneUsage:
    return admin_store.phone_usage(phone.phone_key.phone_hash, limits, attempts=5)


def fail(phone: Phone, times: int) -> None:
    """Fail *times* attempts, as many a day as the limits allow, without restricted mode."""
    quick = phone.with_limits(restrict_after_failures=100)
    for _ in range(times // 5):
        verification = quick.open()
        for _ in range(5):
            with pytest.raises(WrongCode):
                quick.submit(verification, WRONG)
        quick.pass_time(8 * HOUR)


def refusal(phone: Phone) -> OtpError | None:
    return phone.store.precheck(phone.phone_key, CLIENT, 5, PrecheckRequest()).rejection


# ── what is counted of a phone ──


def test_unknown_phone_has_no_counts(admin_store: AdminStore, phone: Phone) -> None:
    facts = facts_of(admin_store, phone)

    assert facts == PhoneUsage(
        now=facts.now,
        sends=(),
        failures=(),
        untrusted_failures=0,
        trusted_failures=0,
        open_verifications=0,
        is_known=False,
        requesters=0,
        untrusted=NOTHING,
        trusted=NOTHING,
    )
    assert phone.stored_keys() == []


def test_usage_counts_like_the_limits(admin_store: AdminStore, phone: Phone) -> None:
    phone.open()
    phone.pass_time(HOUR)
    verification = phone.open()
    for _ in range(3):
        with pytest.raises(WrongCode):
            phone.submit(verification, WRONG)
    phone.pass_time(HOUR - 1)
    with_both = facts_of(admin_store, phone)
    phone.pass_time(1)
    with_none = facts_of(admin_store, phone)

    assert (with_both.sends_in(HOUR), with_both.sends_in(DAY)) == (1, 2)
    assert (with_both.failures_in(HOUR), with_both.failures_in(DAY), with_both.consecutive_failures) == (
        3,
        3,
        3,
    )
    assert (with_none.sends_in(HOUR), with_none.sends_in(DAY)) == (0, 2)
    assert (with_none.failures_in(HOUR), with_none.failures_in(DAY)) == (0, 3)


def test_wait_is_exact_to_the_second(admin_store: AdminStore, phone: Phone) -> None:
    phone.open()
    phone.pass_time(17)

    facts = facts_of(admin_store, phone)

    assert facts.untrusted.limit == "phone_cooldown"
    assert facts.untrusted.wait in (42, 43)
    phone.pass_time(facts.untrusted.wait - 2)
    with pytest.raises(CooldownActive):
        phone.open()
    phone.pass_time(2)
    assert facts_of(admin_store, phone).untrusted.limit == ""
    phone.open()


def test_open_verifications_are_counted_until_they_end(admin_store: AdminStore, phone: Phone) -> None:
    first = phone.open()
    phone.pass_time(60)
    phone.open()
    both = facts_of(admin_store, phone).open_verifications
    phone.submit(first, RIGHT)
    one = facts_of(admin_store, phone).open_verifications
    phone.pass_time(300)

    assert (both, one, facts_of(admin_store, phone).open_verifications) == (2, 1, 0)


def test_approved_phone_is_known_for_ninety_days(admin_store: AdminStore, phone: Phone) -> None:
    phone.submit(phone.open(), RIGHT)
    phone.pass_time(90 * DAY - 2)
    before = facts_of(admin_store, phone)
    phone.pass_time(3)

    assert before.is_known
    assert not facts_of(admin_store, phone).is_known


def test_restriction_and_lock_are_reported_separately(admin_store: AdminStore, phone: Phone) -> None:
    fail(phone, 50)
    restricted = facts_of(admin_store, phone)
    fail(phone, 50)
    locked = facts_of(admin_store, phone)

    assert restricted.consecutive_failures == 50
    assert restricted.untrusted == LimitStatus(is_restricted=True, is_locked=False, limit="", wait=0)
    assert locked.consecutive_failures == 100
    assert (locked.untrusted.is_restricted, locked.untrusted.is_locked) == (True, True)
    assert locked.untrusted.limit == "phone_locked"


def test_usage_is_judged_by_the_given_limits(admin_store: AdminStore, phone: Phone) -> None:
    phone.open()
    phone.pass_time(60)

    assert facts_of(admin_store, phone).untrusted.limit == ""
    assert (
        facts_of(admin_store, phone, replace(LIMITS, sends_per_hour=1)).untrusted.limit
        == "phone_sends_per_hour"
    )


def test_reading_the_usage_changes_nothing(admin_store: AdminStore, phone: Phone) -> None:
    phone.open()
    before = {key: phone.client.get(key) for key in phone.stored_keys()}

    facts_of(admin_store, phone)

    assert {key: phone.client.get(key) for key in phone.stored_keys()} == before


# ── unlock and clear ──


def test_unlocked_phone_can_be_verified_again(admin_store: AdminStore, phone: Phone) -> None:
    fail(phone, 100)
    with pytest.raises(LimitReached) as locked:
        phone.open()
    phone.store.unlock(phone.phone_key.phone_hash)

    facts = facts_of(admin_store, phone)

    assert locked.value.limit == "phone_locked"
    assert (facts.consecutive_failures, facts.failures, facts.untrusted) == (0, (), NOTHING)
    assert phone.submit(phone.open(), RIGHT) == "login"


def test_unlock_ends_the_wait_in_restricted_mode(phone: Phone) -> None:
    fail(phone, 50)
    with pytest.raises(WrongCode):
        phone.submit(phone.open(), WRONG)
    phone.pass_time(2 * HOUR)
    with pytest.raises(LimitReached) as restricted:
        phone.open()

    phone.store.unlock(phone.phone_key.phone_hash)

    assert restricted.value.limit == "phone_slow_lane"
    assert phone.open().attempts_left == 5


def test_unlock_also_clears_the_daily_attempt_of_restricted_mode(phone: Phone) -> None:
    """Otherwise a user who fails again on the same day would wait a day for the next attempt."""
    tight = phone.with_limits(restrict_after_failures=5)

    def fail_once(attempts: int) -> None:
        verification = tight.open()
        assert verification.attempts_left == attempts
        for _ in range(attempts):
            with pytest.raises(WrongCode):
                tight.submit(verification, WRONG)
        tight.pass_time(2 * HOUR)

    fail_once(5)
    fail_once(1)
    tight.store.unlock(tight.phone_key.phone_hash)

    fail_once(5)
    fail_once(1)


def test_unlock_keeps_the_sends(admin_store: AdminStore, phone: Phone) -> None:
    verification = phone.open()
    with pytest.raises(WrongCode):
        phone.submit(verification, WRONG)

    phone.store.unlock(phone.phone_key.phone_hash)

    assert isinstance(refusal(phone), CooldownActive)
    assert facts_of(admin_store, phone).sends_in(HOUR) == 1
    assert phone.read(verification).attempts_left == 4


def test_unlock_never_lets_more_than_a_hundred_guesses_follow(phone: Phone) -> None:
    """Attempts that are reserved for open verifications stay reserved."""
    tight = phone.with_limits(lock_after_failures=8, restrict_after_failures=7)
    first = tight.open()
    with pytest.raises(WrongCode):
        tight.submit(first, WRONG)
    tight.store.unlock(tight.phone_key.phone_hash)
    tight.pass_time(60)

    with pytest.raises(LimitReached) as full:
        tight.open()

    assert full.value.limit == "phone_failures_possible"


@pytest.mark.parametrize("what", ["unlock", "clear"])
def test_admin_call_creates_no_state_for_an_unknown_phone(
    admin_store: AdminStore, phone: Phone, what: str
) -> None:
    act = phone.store.unlock if what == "unlock" else admin_store.clear_phone

    act(phone.phone_key.phone_hash)

    assert phone.stored_keys() == []


def test_cleared_phone_may_get_an_sms_at_once(admin_store: AdminStore, phone: Phone) -> None:
    fail(phone, 100)
    phone.store.unlock(phone.phone_key.phone_hash)
    verification = phone.open(result=None)
    phone.record_result(verification, SendDisposition.RATE_LIMITED, wait=DAY)
    assert facts_of(admin_store, phone).untrusted.limit == "provider_window"

    admin_store.clear_phone(phone.phone_key.phone_hash)

    assert facts_of(admin_store, phone).untrusted.limit == ""
    assert facts_of(admin_store, phone).sends == ()
    phone.open()


def test_clearing_a_phone_keeps_its_approval_and_open_verifications(
    admin_store: AdminStore, phone: Phone
) -> None:
    phone.submit(phone.open(), RIGHT)
    phone.pass_time(60)
    first = phone.open()

    admin_store.clear_phone(phone.phone_key.phone_hash)

    facts = facts_of(admin_store, phone)
    assert (facts.is_known, facts.open_verifications) == (True, 1)
    assert phone.submit(first, RIGHT) == "login"


def test_send_in_flight_survives_the_clearing_of_its_phone(admin_store: AdminStore, phone: Phone) -> None:
    verification = phone.open(result=None)
    admin_store.clear_phone(phone.phone_key.phone_hash)

    phone.record_result(verification, SendDisposition.ACCEPTED)

    assert phone.submit(verification, RIGHT) == "login"


# ── addresses ──


def an_ip_quota(limits: IpLimits = SMALL) -> ClientIpQuota:
    return ClientIpQuota(secrets.token_urlsafe(12), limits)


def another(phone: Phone) -> Phone:
    return replace(phone, phone_key=replace(phone.phone_key, phone_hash=secrets.token_urlsafe(12)))


def run_precheck(phone: Phone, address: ClientIpQuota) -> None:
    phone.store.precheck(phone.phone_key, CLIENT, 5, PrecheckRequest(address, challenges_disabled=True))


def verify(phone: Phone, address: ClientIpQuota) -> None:
    phone.store.redis.run_scripts(
        [
            Call(
                "ip_approved",
                [keys.ip_log(address.ip_hash)],
                [encoding.short_phone_hash(phone.phone_key.phone_hash)],
            )
        ]
    )


def miss(phone: Phone, address: ClientIpQuota, times: int) -> None:
    phone.store.redis.run_scripts([Call("ip_misses", [keys.ip_misses(address.ip_hash)], [times, 60])])


def test_ip_usage_counts_sends_phones_approvals_and_misses(admin_store: AdminStore, phone: Phone) -> None:
    address = an_ip_quota()
    run_precheck(phone, address)
    phone.pass_time(HOUR + 1)
    run_precheck(phone, address)
    run_precheck(another(phone), address)
    happy = another(phone)
    run_precheck(happy, address)
    verify(happy, address)
    miss(phone, address, 7)

    facts = admin_store.ip_usage(address.ip_hash, SMALL)

    assert (facts.sends_in_hour, facts.sends_in_day, facts.phones_in_day) == (2, 3, 2)
    assert (facts.verified_in_day, facts.misses_in_10_minutes) == (1, 7)
    assert (facts.challenge_limit, facts.limit, facts.wait) == ("", "", 0)


def test_ip_usage_predicts_the_limits_of_the_next_sms(admin_store: AdminStore, phone: Phone) -> None:
    address = an_ip_quota()
    predicted = []
    for _ in range(9):
        facts = admin_store.ip_usage(address.ip_hash, SMALL)
        predicted.append((facts.challenge_limit, facts.limit))
        precheck = phone.store.precheck(another(phone).phone_key, CLIENT, 5, PrecheckRequest(address))
        met = precheck.risk_reasons[0] if precheck.risk_reasons else ""
        assert facts.challenge_limit == met or precheck.rejection
        assert bool(facts.limit) == (precheck.rejection is not None)
        if met:
            run_precheck(another(phone), address)

    assert predicted == [("", "")] * 4 + [("address_sends_per_hour", "")] * 4 + [
        ("address_sends_per_hour", "address_phones_per_day")
    ]
    assert facts.wait in (DAY - 1, DAY)


def test_reading_the_usage_of_an_unknown_ip_writes_nothing(admin_store: AdminStore, phone: Phone) -> None:
    address = an_ip_quota()

    facts = admin_store.ip_usage(address.ip_hash, SMALL)

    assert (facts.sends_in_day, facts.verified_in_day, facts.misses_in_10_minutes) == (0, 0, 0)
    assert phone.client.exists(keys.ip_log(address.ip_hash), keys.ip_misses(address.ip_hash)) == 0


def test_cleared_ip_may_send_again_and_keeps_its_raised_limits(admin_store: AdminStore, phone: Phone) -> None:
    address = an_ip_quota()
    happy = another(phone)
    run_precheck(happy, address)
    verify(happy, address)
    for _ in range(12):
        run_precheck(another(phone), address)
    miss(phone, address, 60)
    full = admin_store.ip_usage(address.ip_hash, SMALL)

    admin_store.clear_ip(address.ip_hash)

    cleared = admin_store.ip_usage(address.ip_hash, SMALL)
    assert full.limit
    assert full.misses_in_10_minutes == 60
    assert (cleared.sends_in_day, cleared.misses_in_10_minutes, cleared.verified_in_day) == (0, 0, 1)
    assert (cleared.challenge_limit, cleared.limit) == ("", "")


# ── erase ──


def test_erased_phone_leaves_no_key(admin_store: AdminStore, phone: Phone) -> None:
    phone_hash = phone.phone_key.phone_hash
    verification = phone.open()
    phone.submit(verification, RIGHT)
    phone.store.redeem(phone_hash, verification.verification_hash, 600)
    phone.store.acquire_lookup_lease(phone_hash, verification.verification_hash, "status")
    phone.store.precheck(
        phone.phone_key, CLIENT, 5, PrecheckRequest(solved_challenge_id="risk-1", solution_ttl=600)
    )
    assert len(phone.stored_keys()) == 5

    assert admin_store.erase_phone(phone_hash) == ErasureResult(keys=5, ip_logs=0)

    assert phone.stored_keys() == []


def test_erased_phone_is_removed_from_every_ip_log(admin_store: AdminStore, phone: Phone) -> None:
    """Even from logs that its phone state does not mention: a rejected send is released only there."""
    addresses = [an_ip_quota() for _ in range(3)]
    other = another(phone)
    for address in addresses[:2]:
        run_precheck(phone, address)
        run_precheck(other, address)
    run_precheck(other, addresses[2])
    before = phone.client.get(keys.ip_log(addresses[2].ip_hash))

    assert admin_store.erase_phone(phone.phone_key.phone_hash) == ErasureResult(keys=0, ip_logs=2)

    short = encoding.short_phone_hash(phone.phone_key.phone_hash).encode()
    logs = [phone.client.get(keys.ip_log(address.ip_hash)) or b"" for address in addresses]
    assert [short in log for log in logs] == [False] * 3
    assert [encoding.short_phone_hash(other.phone_key.phone_hash).encode() in log for log in logs] == [
        True
    ] * 3
    assert logs[2] == before


def test_erasing_a_phone_leaves_other_phones_alone(admin_store: AdminStore, phone: Phone) -> None:
    mine, theirs = (
        phone,
        replace(phone, phone_key=replace(phone.phone_key, phone_hash=f"{phone.phone_key.phone_hash[:-1]}!")),
    )
    mine.open()
    theirs.open()

    admin_store.erase_phone(mine.phone_key.phone_hash)

    assert (len(mine.stored_keys()), len(theirs.stored_keys())) == (0, 2)


@pytest.mark.parametrize(
    "pattern_of",
    [
        lambda phone_hash: f"{phone_hash[:-1]}?",
        lambda phone_hash: f"{phone_hash[:4]}*",
        lambda phone_hash: f"{phone_hash[:-1]}[{phone_hash[-1]}]",
        lambda phone_hash: f"{phone_hash[:-1]}[^!]",
        lambda phone_hash: f"{phone_hash[:-1]}\\{phone_hash[-1]}",
    ],
    ids=["one", "any", "of these", "not these", "escaped"],
)
def test_phone_hash_is_never_used_as_a_pattern(
    admin_store: AdminStore, phone: Phone, pattern_of: Callable[[str], str]
) -> None:
    phone.open()
    strange = pattern_of(phone.phone_key.phone_hash)
    phone.client.set(keys.phone_state(strange), b"x", ex=60)

    assert admin_store.erase_phone(strange).keys == 1

    assert len(phone.stored_keys()) == 2


def test_erased_phone_is_unknown(admin_store: AdminStore, phone: Phone) -> None:
    fail(phone, 100)
    admin_store.erase_phone(phone.phone_key.phone_hash)

    facts = facts_of(admin_store, phone)
    verification = phone.open()

    assert (facts.consecutive_failures, facts.sends, facts.untrusted.limit) == (0, (), "")
    assert (verification.attempts_left, verification.sends_left) == (5, 3)


def test_send_in_flight_restores_nothing_of_an_erased_phone(admin_store: AdminStore, phone: Phone) -> None:
    verification = phone.open(result=None)
    admin_store.erase_phone(phone.phone_key.phone_hash)

    assert phone.record_result(verification, SendDisposition.ACCEPTED) is None

    assert phone.stored_keys() == []


def test_erasing_scans_a_store_of_any_size(backend: Backend) -> None:
    phone = make_phone(*backend)
    others = {f"otp:{{{secrets.token_urlsafe(12)}}}": b"x" for _ in range(3 * SCAN_SIZE)}
    with phone.client.pipeline(transaction=False) as pipeline:
        for key, value in others.items():
            pipeline.set(key, value)
        pipeline.execute()
    phone.client.mset({keys.verification(phone.phone_key.phone_hash, f"{n:022d}"): b"x" for n in range(250)})

    erasure = AdminStore(phone.store.redis).erase_phone(phone.phone_key.phone_hash)

    assert erasure.keys == 250
    assert phone.client.unlink(*others) == len(others)


# ── when it does not work ──


def test_phone_state_of_a_newer_version_is_left_alone(admin_store: AdminStore, phone: Phone) -> None:
    phone.client.set(keys.phone_state(phone.phone_key.phone_hash), b"\x02whatever", ex=60)

    for act in (
        facts_of,
        lambda o, p: o.clear_phone(p.phone_key.phone_hash),
        lambda _, p: p.store.unlock(p.phone_key.phone_hash),
    ):
        with pytest.raises(StoreUnavailable):
            act(admin_store, phone)

    assert phone.client.get(keys.phone_state(phone.phone_key.phone_hash)) == b"\x02whatever"


def test_store_error_does_not_quote_redis(redis_server: object, real_phone: Phone) -> None:
    admin_store = AdminStore(real_phone.store.redis)
    phone_hash = real_phone.phone_key.phone_hash
    real_phone.client.lpush(keys.phone_state(phone_hash), b"not ours")

    with pytest.raises(StoreUnavailable) as error:
        facts_of(admin_store, real_phone)

    assert phone_hash not in repr(error.value)
    assert error.value.__cause__ is None
    assert admin_store.erase_phone(phone_hash).keys == 1
