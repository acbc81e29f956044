"""Trusted calls: what strangers cannot use up of a phone, and what they can."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest
from support.phone_stories import CLIENT, RIGHT, WRONG, Phone

from otp_service.domain.errors import CooldownActive, LimitReached, WrongCode
from otp_service.domain.limits import DAY, HOUR, PhoneLimits
from otp_service.domain.risk import PrecheckRequest
from otp_service.domain.verification import SendDisposition, Verification

HOME = b"the owner's home"[:12]
OFFICE, TRAIN, HOTEL = b"office......", b"train.......", b"hotel......."
OTHER_CLIENT = "bank"


@pytest.fixture
def phone(phone: Phone) -> Phone:
    """A phone with the limits that a service has by default, which nobody has verified yet."""
    return replace(phone, slot=replace(phone.slot, limits=PhoneLimits()))


@pytest.fixture
def owner(phone: Phone) -> Phone:
    """The owner's calls: this phone was verified from the same address before."""
    at_home = phone.asked_by(HOME)
    at_home.submit(at_home.open(), RIGHT)
    phone.pass_time(DAY)
    return at_home


def stranger(phone: Phone) -> Phone:
    """Return the calls of somebody at an address of which nothing is known."""
    return phone.asked_by(secrets.token_bytes(12))


def on_known_device(phone: Phone) -> Phone:
    return replace(phone, slot=replace(phone.slot, known_device=True))


def is_trusted(phone: Phone) -> bool:
    return phone.store.precheck(phone.slot, CLIENT, 5, PrecheckRequest()).is_trusted


def fail(phone: Phone, opened: Verification) -> None:
    for _ in range(opened.attempts_left):
        with pytest.raises(WrongCode):
            phone.submit(opened, WRONG)


def use_up(phone: Phone, limit: str) -> None:
    """Have strangers ask for SMS as soon as they may, until *limit* refuses them."""
    while True:
        try:
            stranger(phone).open()
        except (CooldownActive, LimitReached) as refusal:
            if refusal.limit == limit:
                return
            phone.pass_time(refusal.retry_after)


def besiege(phone: Phone) -> int:
    """Have strangers guess until the phone is locked for them; return how many guesses were evaluated."""
    guesses = 0
    while True:
        try:
            opened = stranger(phone).open()
        except (CooldownActive, LimitReached) as refusal:
            if refusal.limit == "phone_locked":
                return guesses
            phone.pass_time(refusal.retry_after)
            continue
        guesses += opened.attempts_left
        fail(phone, opened)


# ── who is trusted ──


def test_nobody_is_trusted_before_the_phone_was_verified(phone: Phone) -> None:
    assert not is_trusted(phone.asked_by(HOME))
    assert not is_trusted(phone)


def test_the_address_that_verified_a_phone_is_trusted_and_no_other(owner: Phone) -> None:
    assert is_trusted(owner)
    assert not is_trusted(stranger(owner))
    assert not is_trusted(owner.asked_by(b""))


def test_a_recognised_device_is_trusted_wherever_it_is(phone: Phone) -> None:
    assert is_trusted(on_known_device(stranger(phone)))
    assert is_trusted(on_known_device(phone))


def test_the_last_three_addresses_are_trusted(owner: Phone) -> None:
    for address in (OFFICE, TRAIN, HOTEL):
        there = owner.asked_by(address)
        there.submit(there.open(), RIGHT)
        owner.pass_time(HOUR)

    trusted = [is_trusted(owner.asked_by(address)) for address in (HOME, OFFICE, TRAIN, HOTEL)]
    assert trusted == [False, True, True, True]


def test_an_address_that_verifies_again_stays_one_of_three(owner: Phone) -> None:
    for address in (OFFICE, HOME, OFFICE, TRAIN):
        there = owner.asked_by(address)
        there.submit(there.open(), RIGHT)
        owner.pass_time(HOUR)

    assert all(is_trusted(owner.asked_by(address)) for address in (HOME, OFFICE, TRAIN))


def test_who_asked_is_trusted_where_the_attempt_names_no_address(phone: Phone) -> None:
    opened = phone.asked_by(HOME).open()
    phone.submit(opened, RIGHT)
    phone.pass_time(60)

    assert is_trusted(phone.asked_by(HOME))


def test_who_submitted_the_code_is_trusted_rather_than_who_asked_for_it(phone: Phone) -> None:
    opened = stranger(phone).open()
    phone.asked_by(HOME).submit(opened, RIGHT)
    phone.pass_time(60)

    assert is_trusted(phone.asked_by(HOME))


def test_trust_ends_with_the_memory_of_the_approval(owner: Phone) -> None:
    owner.pass_time(89 * DAY - 60)
    before = is_trusted(owner)
    owner.pass_time(61)

    assert (before, is_trusted(owner)) == (True, False)


def test_a_wrong_code_makes_nobody_trusted(phone: Phone) -> None:
    fail(stranger(phone), phone.asked_by(HOME).open())

    assert not is_trusted(phone.asked_by(HOME))


# ── SMS ──


@pytest.mark.parametrize("limit", ["phone_sends_per_hour", "phone_sends_per_day"])
def test_a38_strangers_leave_a_trusted_call_its_sms(owner: Phone, limit: str) -> None:
    use_up(owner, limit)
    owner.pass_time(60)  # the provider takes one SMS a minute for a number

    assert len(owner.open().sends) == 1
    with pytest.raises(LimitReached):
        stranger(owner).open()


@pytest.mark.parametrize("who", ["owner", "device"])
def test_a38_strangers_leave_a_trusted_resend_its_sms(owner: Phone, who: str) -> None:
    """Half of the SMS are kept for trusted calls here, for the first one and its resend."""
    tight = owner.limited(sends_per_hour=4, untrusted_send_ratio=0.5, cooldown=(60,))
    caller = tight if who == "owner" else on_known_device(stranger(tight))
    ours = caller.open()
    tight.pass_time(60)
    somebody = stranger(tight)
    theirs = somebody.open()
    use_up(tight, "phone_sends_per_hour")
    tight.pass_time(60)

    with pytest.raises(LimitReached) as refusal:
        somebody.resend(theirs)
    again = caller.resend(ours)

    assert refusal.value.limit == "phone_sends_per_hour"
    assert len(again.sends) == 2


@pytest.mark.parametrize("who", ["owner", "device"])
def test_a_trusted_call_may_use_every_sms_when_no_stranger_does(owner: Phone, who: str) -> None:
    caller = owner if who == "owner" else on_known_device(owner.asked_by(b""))
    sent = 0
    started = owner.runner.ahead
    while owner.runner.ahead - started < (HOUR - 60) * 1000:
        try:
            caller.open()
            sent += 1
        except (CooldownActive, LimitReached) as refusal:
            if refusal.limit.startswith("phone_sends") or refusal.limit.startswith("phone_requester"):
                break
            owner.pass_time(refusal.retry_after)

    # One address gets four an hour; a device that moves about gets all five.
    assert sent == (4 if who == "owner" else 5)


def test_strangers_sends_do_not_lengthen_the_cooldown_of_a_trusted_call(owner: Phone) -> None:
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


def test_a38_strangers_evaluate_seventy_codes_in_a_row_and_no_more(phone: Phone) -> None:
    assert besiege(phone) == 70


def test_a38_a_besieged_phone_is_open_to_trusted_calls_at_once(owner: Phone) -> None:
    besiege(owner)
    owner.pass_time(60)

    opened = owner.open()

    assert opened.attempts_left == 5  # not in the slow lane either: the owner has failed at nothing
    assert owner.submit(opened, RIGHT) == "login"
    assert (
        stranger(owner).store.precheck(stranger(owner).slot, CLIENT, 5, PrecheckRequest()).rejection
        is not None
    )


def test_the_hundred_hold_for_trusted_and_untrusted_calls_together(owner: Phone) -> None:
    evaluated = besiege(owner)
    while True:
        try:
            opened = owner.open()
        except (CooldownActive, LimitReached) as refusal:
            if refusal.limit == "phone_locked":
                break
            owner.pass_time(refusal.retry_after)
            continue
        evaluated += opened.attempts_left
        fail(owner, opened)

    assert evaluated == 100


def test_outstanding_attempts_count_for_each_kind_of_call(owner: Phone) -> None:
    tight = owner.limited(
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


def test_an_approval_forgets_the_failures_of_both_kinds(owner: Phone) -> None:
    fail(owner, stranger(owner).open())
    owner.pass_time(60)
    opened = owner.open()
    with pytest.raises(WrongCode):
        owner.submit(opened, WRONG)
    owner.submit(opened, RIGHT)

    assert besiege(owner) == 70


# ── the slow lane ──


def slow(phone: Phone) -> Phone:
    """Return *phone* in the slow lane for strangers, with nothing else in their way."""
    quick = phone.limited(
        restrict_after_failures=7, failures_per_hour=200, failures_per_day=200, cooldown=(60,)
    )
    fail(quick, stranger(quick).open())
    quick.pass_time(2 * HOUR)
    return quick


def opened_by(phone: Phone, client: str) -> Verification:
    return stranger(phone).open(client=client)


def test_a38_each_client_has_a_seat_of_its_own_in_the_slow_lane(phone: Phone) -> None:
    besieged = slow(phone)
    with pytest.raises(WrongCode):
        besieged.submit(opened_by(besieged, CLIENT), WRONG)
    besieged.pass_time(2 * HOUR)

    with pytest.raises(LimitReached) as taken:
        opened_by(besieged, CLIENT)
    other = besieged.store.precheck(stranger(besieged).slot, OTHER_CLIENT, 5, PrecheckRequest())

    assert taken.value.limit == "phone_slow_lane"
    assert other.rejection is None
    assert other.is_restricted


def test_a38_a_seat_whose_code_nobody_guessed_at_is_given_back(phone: Phone) -> None:
    besieged = slow(phone)
    opened_by(besieged, CLIENT)
    besieged.pass_time(290)
    with pytest.raises(LimitReached) as taken:
        opened_by(besieged, CLIENT)
    besieged.pass_time(taken.value.retry_after)

    opened_by(besieged, CLIENT)

    assert taken.value.limit == "phone_slow_lane"
    assert taken.value.retry_after <= 15 + 1


def test_a_seat_whose_code_was_guessed_at_is_taken_for_a_day(phone: Phone) -> None:
    besieged = slow(phone)
    opened = opened_by(besieged, CLIENT)
    with pytest.raises(WrongCode):
        besieged.submit(opened, WRONG)
    besieged.pass_time(DAY - 2)
    with pytest.raises(LimitReached) as taken:
        opened_by(besieged, CLIENT)
    besieged.pass_time(taken.value.retry_after)

    opened_by(besieged, CLIENT)

    assert taken.value.limit == "phone_slow_lane"


def test_trusted_calls_that_fail_too_often_get_one_seat_a_day_as_well(owner: Phone) -> None:
    clumsy = owner.limited(restrict_after_failures=5, failures_per_hour=200, failures_per_day=200)
    fail(clumsy, clumsy.open())
    clumsy.pass_time(HOUR)
    opened = clumsy.open()
    with pytest.raises(WrongCode):
        clumsy.submit(opened, WRONG)
    clumsy.pass_time(HOUR)

    with pytest.raises(LimitReached) as taken:
        clumsy.open()
    assert opened.attempts_left == 1
    assert taken.value.limit == "phone_slow_lane"


# ── rows of earlier builds ──


def test_limits_of_a_row_in_the_earlier_format_go_on(phone: Phone) -> None:
    """Five failures, one send a moment ago, and an approval of last week."""
    seconds, micros = phone.client.time()
    now = seconds * 1000 + micros // 1000
    old = bytes([1, 5]) + (seconds - 7 * DAY).to_bytes(4, "big") + bytes(4) + bytes(6) + bytes([1, 1, 0])
    old += (now - 10_000).to_bytes(6, "big") + HOME + b"v" * 7 + b"\1" + (now - 9_000).to_bytes(6, "big")
    key = f"otp:{{{phone.slot.phone_hash}}}"
    phone.client.set(key, old, ex=DAY)

    early = phone.store.precheck(phone.slot, CLIENT, 5, PrecheckRequest())
    phone.pass_time(60)
    later = phone.store.precheck(phone.slot, CLIENT, 5, PrecheckRequest())
    opened = phone.open()
    fail(phone, opened)

    assert isinstance(early.rejection, CooldownActive)
    assert (later.rejection, later.known, later.is_trusted) == (None, True, False)
    assert phone.client.get(key)[:3] == bytes([2, 10, 0])


def test_each_address_is_trusted_for_ninety_days_from_its_own_success(owner: Phone) -> None:
    for _ in range(3):
        owner.pass_time(40 * DAY)
        at_work = owner.asked_by(OFFICE)
        at_work.submit(at_work.open(), RIGHT)
    owner.pass_time(60)

    assert (is_trusted(owner), is_trusted(owner.asked_by(OFFICE))) == (False, True)


def test_a38_a_trusted_call_keeps_one_attempt_where_settings_leave_it_little(owner: Phone) -> None:
    tight = owner.limited(
        restrict_after_failures=10, lock_after_failures=11, failures_per_hour=200, failures_per_day=200
    )
    opened = stranger(tight).open()
    for _ in range(2):
        with pytest.raises(WrongCode):
            tight.submit(opened, WRONG)
    tight.store.cancel(tight.slot, CLIENT, opened.verification_hash)
    tight.pass_time(60)
    fail(tight, stranger(tight).open())
    tight.pass_time(60)

    assert tight.open().attempts_left == 1


def test_a_throttled_sms_takes_no_place_in_the_slow_lane(phone: Phone) -> None:
    besieged = slow(phone)
    there = stranger(besieged)
    opened = there.open(settle=None)
    there.settle(opened, SendDisposition.RATE_LIMITED, wait=1)
    besieged.pass_time(2)

    assert besieged.store.precheck(stranger(besieged).slot, CLIENT, 5, PrecheckRequest()).rejection is None
