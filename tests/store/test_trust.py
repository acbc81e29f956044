"""Trusted calls: which quota of a phone untrusted calls cannot use up."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest
from support.phone_in_store import CLIENT, RIGHT, WRONG, Phone

from otp_service.domain.errors import CooldownActive, LimitReached, WrongCode
from otp_service.domain.limits import DAY, HOUR, PhoneLimits
from otp_service.domain.risk import PrecheckRequest
from otp_service.domain.verification import SendDisposition, Verification

HOME = b"the owner's home"[:12]
WORK, TRAIN, HOTEL = b"office......", b"train.......", b"hotel......."
OTHER_CLIENT = "bank"


@pytest.fixture
def phone(phone: Phone) -> Phone:
    """A phone with the default limits that was never verified."""
    return replace(phone, phone_key=replace(phone.phone_key, limits=PhoneLimits()))


@pytest.fixture
def owner(phone: Phone) -> Phone:
    """The phone as called from an IP address that verified it before."""
    at_home = phone.from_ip(HOME)
    at_home.submit(at_home.open(), RIGHT)
    phone.pass_time(DAY)
    return at_home


def stranger(phone: Phone) -> Phone:
    """Return the phone as called from an unknown IP address."""
    return phone.from_ip(secrets.token_bytes(12))


def on_known_device(phone: Phone) -> Phone:
    return replace(phone, phone_key=replace(phone.phone_key, known_device=True))


def is_trusted(phone: Phone) -> bool:
    return phone.store.precheck(phone.phone_key, CLIENT, 5, PrecheckRequest()).is_trusted


def fail(phone: Phone, verification: Verification) -> None:
    for _ in range(verification.attempts_left):
        with pytest.raises(WrongCode):
            phone.submit(verification, WRONG)


def use_up(phone: Phone, limit: str) -> None:
    """Request SMS from unknown IP addresses as soon as allowed, until *limit* rejects them."""
    while True:
        try:
            stranger(phone).open()
        except (CooldownActive, LimitReached) as refusal:
            if refusal.limit == limit:
                return
            phone.pass_time(refusal.retry_after)


def besiege(phone: Phone) -> int:
    """Guess from unknown IP addresses until the phone is locked; return the number of evaluated guesses."""
    guesses = 0
    while True:
        try:
            verification = stranger(phone).open()
        except (CooldownActive, LimitReached) as refusal:
            if refusal.limit == "phone_locked":
                return guesses
            phone.pass_time(refusal.retry_after)
            continue
        guesses += verification.attempts_left
        fail(phone, verification)


# ── who is trusted ──


def test_no_call_is_trusted_before_the_phone_was_verified(phone: Phone) -> None:
    assert not is_trusted(phone.from_ip(HOME))
    assert not is_trusted(phone)


def test_ip_that_verified_a_phone_is_trusted_and_no_other(owner: Phone) -> None:
    assert is_trusted(owner)
    assert not is_trusted(stranger(owner))
    assert not is_trusted(owner.from_ip(b""))


def test_a_recognised_device_is_trusted_wherever_it_is(phone: Phone) -> None:
    assert is_trusted(on_known_device(stranger(phone)))
    assert is_trusted(on_known_device(phone))


def test_last_three_ips_are_trusted(owner: Phone) -> None:
    for address in (WORK, TRAIN, HOTEL):
        there = owner.from_ip(address)
        there.submit(there.open(), RIGHT)
        owner.pass_time(HOUR)

    trusted = [is_trusted(owner.from_ip(address)) for address in (HOME, WORK, TRAIN, HOTEL)]
    assert trusted == [False, True, True, True]


def test_ip_that_verifies_again_counts_once(owner: Phone) -> None:
    for address in (WORK, HOME, WORK, TRAIN):
        there = owner.from_ip(address)
        there.submit(there.open(), RIGHT)
        owner.pass_time(HOUR)

    assert all(is_trusted(owner.from_ip(address)) for address in (HOME, WORK, TRAIN))


def test_requesting_ip_is_trusted_if_the_attempt_has_none(phone: Phone) -> None:
    verification = phone.from_ip(HOME).open()
    phone.submit(verification, RIGHT)
    phone.pass_time(60)

    assert is_trusted(phone.from_ip(HOME))


def test_submitting_ip_is_trusted_instead_of_the_requesting_ip(phone: Phone) -> None:
    verification = stranger(phone).open()
    phone.from_ip(HOME).submit(verification, RIGHT)
    phone.pass_time(60)

    assert is_trusted(phone.from_ip(HOME))


def test_trust_ends_when_the_approval_expires(owner: Phone) -> None:
    owner.pass_time(89 * DAY - 60)
    before = is_trusted(owner)
    owner.pass_time(61)

    assert (before, is_trusted(owner)) == (True, False)


def test_wrong_code_gives_no_trust(phone: Phone) -> None:
    fail(stranger(phone), phone.from_ip(HOME).open())

    assert not is_trusted(phone.from_ip(HOME))


# ── SMS ──


@pytest.mark.parametrize("limit", ["phone_sends_per_hour", "phone_sends_per_day"])
def test_a38_untrusted_calls_leave_sms_for_a_trusted_call(owner: Phone, limit: str) -> None:
    use_up(owner, limit)
    owner.pass_time(60)  # the provider takes one SMS a minute for a number

    assert len(owner.open().sends) == 1
    with pytest.raises(LimitReached):
        stranger(owner).open()


@pytest.mark.parametrize("who", ["owner", "device"])
def test_a38_untrusted_calls_leave_sms_for_a_trusted_resend(owner: Phone, who: str) -> None:
    """Half of the SMS are reserved for trusted calls here: for a request and its resend."""
    tight = owner.with_limits(sends_per_hour=4, untrusted_send_ratio=0.5, cooldown=(60,))
    caller = tight if who == "owner" else on_known_device(stranger(tight))
    ours = caller.open()
    tight.pass_time(60)
    other = stranger(tight)
    theirs = other.open()
    use_up(tight, "phone_sends_per_hour")
    tight.pass_time(60)

    with pytest.raises(LimitReached) as refusal:
        other.resend(theirs)
    again = caller.resend(ours)

    assert refusal.value.limit == "phone_sends_per_hour"
    assert len(again.sends) == 2


@pytest.mark.parametrize("who", ["owner", "device"])
def test_trusted_calls_may_use_every_sms_without_untrusted_calls(owner: Phone, who: str) -> None:
    caller = owner if who == "owner" else on_known_device(owner.from_ip(b""))
    sent = 0
    started = owner.runner.offset_ms
    while owner.runner.offset_ms - started < (HOUR - 60) * 1000:
        try:
            caller.open()
            sent += 1
        except (CooldownActive, LimitReached) as refusal:
            if refusal.limit.startswith("phone_sends") or refusal.limit.startswith("phone_requester"):
                break
            owner.pass_time(refusal.retry_after)

    # One IP address gets four an hour; a device that changes addresses gets all five.
    assert sent == (4 if who == "owner" else 5)


def test_untrusted_sends_do_not_lengthen_the_cooldown_of_a_trusted_call(owner: Phone) -> None:
    for _ in range(3):
        stranger(owner).open()
        with pytest.raises(CooldownActive) as theirs:
            stranger(owner).open()
        with pytest.raises(CooldownActive) as ours:
            owner.open()
        assert ours.value.retry_after == 60
        owner.pass_time(theirs.value.retry_after)

    owner.open()


# ── failures ──


def test_a38_untrusted_calls_get_seventy_consecutive_failures_and_no_more(phone: Phone) -> None:
    assert besiege(phone) == 70


def test_a38_trusted_calls_work_at_once_for_a_phone_under_attack(owner: Phone) -> None:
    besiege(owner)
    owner.pass_time(60)

    verification = owner.open()

    assert verification.attempts_left == 5  # not restricted either: the owner has no failures
    assert owner.submit(verification, RIGHT) == "login"
    assert (
        stranger(owner).store.precheck(stranger(owner).phone_key, CLIENT, 5, PrecheckRequest()).rejection
        is not None
    )


def test_limit_of_a_hundred_counts_trusted_and_untrusted_calls_together(owner: Phone) -> None:
    evaluated = besiege(owner)
    while True:
        try:
            verification = owner.open()
        except (CooldownActive, LimitReached) as refusal:
            if refusal.limit == "phone_locked":
                break
            owner.pass_time(refusal.retry_after)
            continue
        evaluated += verification.attempts_left
        fail(owner, verification)

    assert evaluated == 100


def test_reserved_attempts_count_for_each_kind_of_call(owner: Phone) -> None:
    tight = owner.with_limits(
        lock_after_failures=10, restrict_after_failures=10, failures_per_hour=200, failures_per_day=200
    )
    stranger(tight).open()
    tight.pass_time(60)
    with pytest.raises(LimitReached) as theirs:  # 5 + 5 > 7
        stranger(tight).open()
    tight.open()  # 5 + 5 <= 10
    tight.pass_time(60)
    with pytest.raises(LimitReached) as ours:
        tight.open()

    assert (theirs.value.limit, ours.value.limit) == ("phone_failures_possible", "phone_failures_possible")


def test_approval_clears_the_failures_of_both_kinds(owner: Phone) -> None:
    fail(owner, stranger(owner).open())
    owner.pass_time(60)
    verification = owner.open()
    with pytest.raises(WrongCode):
        owner.submit(verification, WRONG)
    owner.submit(verification, RIGHT)

    assert besiege(owner) == 70


# ── restricted mode ──


def restricted(phone: Phone) -> Phone:
    """Return *phone* in restricted mode for untrusted calls, with no other limit in the way."""
    quick = phone.with_limits(
        restrict_after_failures=7, failures_per_hour=200, failures_per_day=200, cooldown=(60,)
    )
    fail(quick, stranger(quick).open())
    quick.pass_time(2 * HOUR)
    return quick


def opened_by(phone: Phone, client: str) -> Verification:
    return stranger(phone).open(client=client)


def test_a38_each_client_has_its_own_daily_attempt_in_restricted_mode(phone: Phone) -> None:
    restricted_phone = restricted(phone)
    with pytest.raises(WrongCode):
        restricted_phone.submit(opened_by(restricted_phone, CLIENT), WRONG)
    restricted_phone.pass_time(2 * HOUR)

    with pytest.raises(LimitReached) as rejected:
        opened_by(restricted_phone, CLIENT)
    other = restricted_phone.store.precheck(
        stranger(restricted_phone).phone_key, OTHER_CLIENT, 5, PrecheckRequest()
    )

    assert rejected.value.limit == "phone_slow_lane"
    assert other.rejection is None
    assert other.is_restricted


def test_a38_unused_attempt_of_restricted_mode_is_released(phone: Phone) -> None:
    restricted_phone = restricted(phone)
    opened_by(restricted_phone, CLIENT)
    restricted_phone.pass_time(290)
    with pytest.raises(LimitReached) as rejected:
        opened_by(restricted_phone, CLIENT)
    restricted_phone.pass_time(rejected.value.retry_after)

    opened_by(restricted_phone, CLIENT)

    assert rejected.value.limit == "phone_slow_lane"
    assert rejected.value.retry_after <= 15 + 1


def test_used_attempt_of_restricted_mode_counts_for_a_day(phone: Phone) -> None:
    restricted_phone = restricted(phone)
    verification = opened_by(restricted_phone, CLIENT)
    with pytest.raises(WrongCode):
        restricted_phone.submit(verification, WRONG)
    restricted_phone.pass_time(DAY - 2)
    with pytest.raises(LimitReached) as rejected:
        opened_by(restricted_phone, CLIENT)
    restricted_phone.pass_time(rejected.value.retry_after)

    opened_by(restricted_phone, CLIENT)

    assert rejected.value.limit == "phone_slow_lane"


def test_restricted_trusted_calls_get_one_attempt_a_day_too(owner: Phone) -> None:
    clumsy = owner.with_limits(restrict_after_failures=5, failures_per_hour=200, failures_per_day=200)
    fail(clumsy, clumsy.open())
    clumsy.pass_time(HOUR)
    verification = clumsy.open()
    with pytest.raises(WrongCode):
        clumsy.submit(verification, WRONG)
    clumsy.pass_time(HOUR)

    with pytest.raises(LimitReached) as rejected:
        clumsy.open()
    assert verification.attempts_left == 1
    assert rejected.value.limit == "phone_slow_lane"


# ── phone state of earlier versions ──


def test_limits_of_phone_state_in_the_earlier_format_continue(phone: Phone) -> None:
    """Five failures, one recent send, and an approval a week ago."""
    seconds, micros = phone.client.time()
    now = seconds * 1000 + micros // 1000
    old = bytes([1, 5]) + (seconds - 7 * DAY).to_bytes(4, "big") + bytes(4) + bytes(6) + bytes([1, 1, 0])
    old += (now - 10_000).to_bytes(6, "big") + HOME + b"v" * 7 + b"\1" + (now - 9_000).to_bytes(6, "big")
    key = f"otp:{{{phone.phone_key.phone_hash}}}"
    phone.client.set(key, old, ex=DAY)

    early = phone.store.precheck(phone.phone_key, CLIENT, 5, PrecheckRequest())
    phone.pass_time(60)
    later = phone.store.precheck(phone.phone_key, CLIENT, 5, PrecheckRequest())
    verification = phone.open()
    fail(phone, verification)

    assert isinstance(early.rejection, CooldownActive)
    assert (later.rejection, later.known, later.is_trusted) == (None, True, False)
    assert phone.client.get(key)[:3] == bytes([2, 10, 0])


def test_each_ip_is_trusted_for_ninety_days_from_its_own_success(owner: Phone) -> None:
    for _ in range(3):
        owner.pass_time(40 * DAY)
        at_work = owner.from_ip(WORK)
        at_work.submit(at_work.open(), RIGHT)
    owner.pass_time(60)

    assert (is_trusted(owner), is_trusted(owner.from_ip(WORK))) == (False, True)


def test_a38_trusted_call_keeps_at_least_one_attempt(owner: Phone) -> None:
    tight = owner.with_limits(
        restrict_after_failures=10, lock_after_failures=11, failures_per_hour=200, failures_per_day=200
    )
    verification = stranger(tight).open()
    for _ in range(2):
        with pytest.raises(WrongCode):
            tight.submit(verification, WRONG)
    tight.store.cancel(tight.phone_key, CLIENT, verification.verification_hash)
    tight.pass_time(60)
    fail(tight, stranger(tight).open())
    tight.pass_time(60)

    assert tight.open().attempts_left == 1


def test_rate_limited_sms_does_not_use_the_daily_attempt_of_restricted_mode(phone: Phone) -> None:
    restricted_phone = restricted(phone)
    there = stranger(restricted_phone)
    verification = there.open(result=None)
    there.record_result(verification, SendDisposition.RATE_LIMITED, wait=1)
    restricted_phone.pass_time(2)

    assert (
        restricted_phone.store.precheck(
            stranger(restricted_phone).phone_key, CLIENT, 5, PrecheckRequest()
        ).rejection
        is None
    )
