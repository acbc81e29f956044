"""The office: an operator sees what a caller would meet, clears it, and has a phone forgotten."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

import pytest
from support.phone_stories import CLIENT, LIMITS, RIGHT, WRONG, Phone, make_phone
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
    return admin_store.phone_usage(phone.slot.phone_hash, limits, attempts=5)


def fail(phone: Phone, times: int) -> None:
    """Use up *times* attempts, without the slow lane, as many a day as the limits let pass."""
    quick = phone.limited(restrict_after_failures=100)
    for _ in range(times // 5):
        opened = quick.open()
        for _ in range(5):
            with pytest.raises(WrongCode):
                quick.submit(opened, WRONG)
        quick.pass_time(8 * HOUR)


def refusal(phone: Phone) -> OtpError | None:
    return phone.store.precheck(phone.slot, CLIENT, 5, PrecheckRequest()).rejection


# ── what is counted of a phone ──


def test_stranger_has_nothing_counted(admin_store: AdminStore, phone: Phone) -> None:
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
    assert phone.stored() == []


def test_facts_count_as_the_limits_do(admin_store: AdminStore, phone: Phone) -> None:
    phone.open()
    phone.pass_time(HOUR)
    opened = phone.open()
    for _ in range(3):
        with pytest.raises(WrongCode):
            phone.submit(opened, WRONG)
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


def test_time_to_wait_is_true_to_the_second(admin_store: AdminStore, phone: Phone) -> None:
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


def test_live_verifications_are_counted_until_they_end(admin_store: AdminStore, phone: Phone) -> None:
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


def test_slow_lane_and_lock_are_told_apart(admin_store: AdminStore, phone: Phone) -> None:
    fail(phone, 50)
    slow = facts_of(admin_store, phone)
    fail(phone, 50)
    locked = facts_of(admin_store, phone)

    assert slow.consecutive_failures == 50
    assert slow.untrusted == LimitStatus(is_restricted=True, is_locked=False, limit="", wait=0)
    assert locked.consecutive_failures == 100
    assert (locked.untrusted.is_restricted, locked.untrusted.is_locked) == (True, True)
    assert locked.untrusted.limit == "phone_locked"


def test_facts_are_judged_by_the_limits_that_are_given(admin_store: AdminStore, phone: Phone) -> None:
    phone.open()
    phone.pass_time(60)

    assert facts_of(admin_store, phone).untrusted.limit == ""
    assert (
        facts_of(admin_store, phone, replace(LIMITS, sends_per_hour=1)).untrusted.limit
        == "phone_sends_per_hour"
    )


def test_looking_changes_nothing(admin_store: AdminStore, phone: Phone) -> None:
    phone.open()
    before = {key: phone.client.get(key) for key in phone.stored()}

    facts_of(admin_store, phone)

    assert {key: phone.client.get(key) for key in phone.stored()} == before


# ── unlock and clear ──


def test_unlocked_phone_can_be_verified_again(admin_store: AdminStore, phone: Phone) -> None:
    fail(phone, 100)
    with pytest.raises(LimitReached) as locked:
        phone.open()
    phone.store.unlock(phone.slot.phone_hash)

    facts = facts_of(admin_store, phone)

    assert locked.value.limit == "phone_locked"
    assert (facts.consecutive_failures, facts.failures, facts.untrusted) == (0, (), NOTHING)
    assert phone.submit(phone.open(), RIGHT) == "login"


def test_unlock_ends_the_wait_of_the_slow_lane(phone: Phone) -> None:
    fail(phone, 50)
    with pytest.raises(WrongCode):
        phone.submit(phone.open(), WRONG)
    phone.pass_time(2 * HOUR)
    with pytest.raises(LimitReached) as slow:
        phone.open()

    phone.store.unlock(phone.slot.phone_hash)

    assert slow.value.limit == "phone_slow_lane"
    assert phone.open().attempts_left == 5


def test_unlock_also_forgets_that_the_slow_lane_was_used(phone: Phone) -> None:
    """Or whoever fails again on the same day would wait a day for a first slow attempt."""
    tight = phone.limited(restrict_after_failures=5)

    def fail_once(attempts: int) -> None:
        opened = tight.open()
        assert opened.attempts_left == attempts
        for _ in range(attempts):
            with pytest.raises(WrongCode):
                tight.submit(opened, WRONG)
        tight.pass_time(2 * HOUR)

    fail_once(5)
    fail_once(1)
    tight.store.unlock(tight.slot.phone_hash)

    fail_once(5)
    fail_once(1)


def test_unlock_keeps_what_was_sent(admin_store: AdminStore, phone: Phone) -> None:
    opened = phone.open()
    with pytest.raises(WrongCode):
        phone.submit(opened, WRONG)

    phone.store.unlock(phone.slot.phone_hash)

    assert isinstance(refusal(phone), CooldownActive)
    assert facts_of(admin_store, phone).sends_in(HOUR) == 1
    assert phone.read(opened).attempts_left == 4


def test_unlock_never_lets_more_than_a_hundred_guesses_follow(phone: Phone) -> None:
    """What is reserved for live verifications stays reserved."""
    tight = phone.limited(lock_after_failures=8, restrict_after_failures=7)
    live = tight.open()
    with pytest.raises(WrongCode):
        tight.submit(live, WRONG)
    tight.store.unlock(tight.slot.phone_hash)
    tight.pass_time(60)

    with pytest.raises(LimitReached) as full:
        tight.open()

    assert full.value.limit == "phone_failures_possible"


@pytest.mark.parametrize("what", ["unlock", "clear"])
def test_nothing_is_made_of_a_stranger(admin_store: AdminStore, phone: Phone, what: str) -> None:
    act = phone.store.unlock if what == "unlock" else admin_store.clear_phone

    act(phone.slot.phone_hash)

    assert phone.stored() == []


def test_cleared_phone_may_be_sent_to_at_once(admin_store: AdminStore, phone: Phone) -> None:
    fail(phone, 100)
    phone.store.unlock(phone.slot.phone_hash)
    opened = phone.open(settle=None)
    phone.settle(opened, SendDisposition.RATE_LIMITED, wait=DAY)
    assert facts_of(admin_store, phone).untrusted.limit == "provider_window"

    admin_store.clear_phone(phone.slot.phone_hash)

    assert facts_of(admin_store, phone).untrusted.limit == ""
    assert facts_of(admin_store, phone).sends == ()
    phone.open()


def test_clearing_a_phone_keeps_its_approval_and_its_live_verifications(
    admin_store: AdminStore, phone: Phone
) -> None:
    phone.submit(phone.open(), RIGHT)
    phone.pass_time(60)
    live = phone.open()

    admin_store.clear_phone(phone.slot.phone_hash)

    facts = facts_of(admin_store, phone)
    assert (facts.is_known, facts.open_verifications) == (True, 1)
    assert phone.submit(live, RIGHT) == "login"


def test_send_in_flight_survives_that_its_phone_is_cleared(admin_store: AdminStore, phone: Phone) -> None:
    opened = phone.open(settle=None)
    admin_store.clear_phone(phone.slot.phone_hash)

    phone.settle(opened, SendDisposition.ACCEPTED)

    assert phone.submit(opened, RIGHT) == "login"


# ── addresses ──


def an_address(limits: IpLimits = SMALL) -> ClientIpQuota:
    return ClientIpQuota(secrets.token_urlsafe(12), limits)


def another(phone: Phone) -> Phone:
    return replace(phone, slot=replace(phone.slot, phone_hash=secrets.token_urlsafe(12)))


def run_precheck(phone: Phone, address: ClientIpQuota) -> None:
    phone.store.precheck(phone.slot, CLIENT, 5, PrecheckRequest(address, challenges_disabled=True))


def verify(phone: Phone, address: ClientIpQuota) -> None:
    phone.store.redis.run_scripts(
        [
            Call(
                "ip_approved",
                [keys.ip_log(address.ip_hash)],
                [encoding.short_phone_hash(phone.slot.phone_hash)],
            )
        ]
    )


def miss(phone: Phone, address: ClientIpQuota, times: int) -> None:
    phone.store.redis.run_scripts([Call("ip_misses", [keys.ip_misses(address.ip_hash)], [times, 60])])


def test_address_tells_what_its_requesters_caused(admin_store: AdminStore, phone: Phone) -> None:
    address = an_address()
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


def test_address_tells_what_its_next_sms_would_meet(admin_store: AdminStore, phone: Phone) -> None:
    address = an_address()
    told = []
    for _ in range(9):
        facts = admin_store.ip_usage(address.ip_hash, SMALL)
        told.append((facts.challenge_limit, facts.limit))
        standing = phone.store.precheck(another(phone).slot, CLIENT, 5, PrecheckRequest(address))
        met = standing.risk_reasons[0] if standing.risk_reasons else ""
        assert facts.challenge_limit == met or standing.rejection
        assert bool(facts.limit) == (standing.rejection is not None)
        if met:
            run_precheck(another(phone), address)

    assert told == [("", "")] * 4 + [("address_sends_per_hour", "")] * 4 + [
        ("address_sends_per_hour", "address_phones_per_day")
    ]
    assert facts.wait in (DAY - 1, DAY)


def test_stranger_at_an_address_leaves_no_trace_by_looking(admin_store: AdminStore, phone: Phone) -> None:
    address = an_address()

    facts = admin_store.ip_usage(address.ip_hash, SMALL)

    assert (facts.sends_in_day, facts.verified_in_day, facts.misses_in_10_minutes) == (0, 0, 0)
    assert phone.client.exists(keys.ip_log(address.ip_hash), keys.ip_misses(address.ip_hash)) == 0


def test_cleared_address_may_cause_sms_again_and_keeps_its_room(
    admin_store: AdminStore, phone: Phone
) -> None:
    address = an_address()
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


# ── forget ──


def test_erased_phone_leaves_no_key(admin_store: AdminStore, phone: Phone) -> None:
    tag = phone.slot.phone_hash
    opened = phone.open()
    phone.submit(opened, RIGHT)
    phone.store.redeem(tag, opened.verification_hash, 600)
    phone.store.acquire_lookup_lease(tag, opened.verification_hash, "status")
    phone.store.precheck(
        phone.slot, CLIENT, 5, PrecheckRequest(solved_challenge_id="risk-1", solution_ttl=600)
    )
    assert len(phone.stored()) == 5

    assert admin_store.erase_phone(tag) == ErasureResult(keys=5, ip_logs=0)

    assert phone.stored() == []


def test_forgotten_phone_is_taken_out_of_every_address_log(admin_store: AdminStore, phone: Phone) -> None:
    """Also where its own row does not say that it was: a refused send is given back there, and not here."""
    addresses = [an_address() for _ in range(3)]
    other = another(phone)
    for address in addresses[:2]:
        run_precheck(phone, address)
        run_precheck(other, address)
    run_precheck(other, addresses[2])
    before = phone.client.get(keys.ip_log(addresses[2].ip_hash))

    assert admin_store.erase_phone(phone.slot.phone_hash) == ErasureResult(keys=0, ip_logs=2)

    short = encoding.short_phone_hash(phone.slot.phone_hash).encode()
    logs = [phone.client.get(keys.ip_log(address.ip_hash)) or b"" for address in addresses]
    assert [short in log for log in logs] == [False] * 3
    assert [encoding.short_phone_hash(other.slot.phone_hash).encode() in log for log in logs] == [True] * 3
    assert logs[2] == before


def test_forgetting_spares_everybody_else(admin_store: AdminStore, phone: Phone) -> None:
    mine, theirs = (
        phone,
        replace(phone, slot=replace(phone.slot, phone_hash=f"{phone.slot.phone_hash[:-1]}!")),
    )
    mine.open()
    theirs.open()

    admin_store.erase_phone(mine.slot.phone_hash)

    assert (len(mine.stored()), len(theirs.stored())) == (0, 2)


@pytest.mark.parametrize(
    "spell",
    [
        lambda tag: f"{tag[:-1]}?",
        lambda tag: f"{tag[:4]}*",
        lambda tag: f"{tag[:-1]}[{tag[-1]}]",
        lambda tag: f"{tag[:-1]}[^!]",
        lambda tag: f"{tag[:-1]}\\{tag[-1]}",
    ],
    ids=["one", "any", "of these", "not these", "escaped"],
)
def test_tag_is_never_a_pattern(admin_store: AdminStore, phone: Phone, spell: Callable[[str], str]) -> None:
    phone.open()
    strange = spell(phone.slot.phone_hash)
    phone.client.set(keys.phone_state(strange), b"x", ex=60)

    assert admin_store.erase_phone(strange).keys == 1

    assert len(phone.stored()) == 2


def test_forgotten_phone_is_a_stranger(admin_store: AdminStore, phone: Phone) -> None:
    fail(phone, 100)
    admin_store.erase_phone(phone.slot.phone_hash)

    facts = facts_of(admin_store, phone)
    opened = phone.open()

    assert (facts.consecutive_failures, facts.sends, facts.untrusted.limit) == (0, (), "")
    assert (opened.attempts_left, opened.sends_left) == (5, 3)


def test_send_in_flight_brings_nothing_of_a_forgotten_phone_back(
    admin_store: AdminStore, phone: Phone
) -> None:
    opened = phone.open(settle=None)
    admin_store.erase_phone(phone.slot.phone_hash)

    assert phone.settle(opened, SendDisposition.ACCEPTED) is None

    assert phone.stored() == []


def test_forgetting_looks_through_a_store_of_any_size(backend: Backend) -> None:
    phone = make_phone(*backend)
    crowd = {f"otp:{{{secrets.token_urlsafe(12)}}}": b"x" for _ in range(3 * SCAN_SIZE)}
    with phone.client.pipeline(transaction=False) as pipeline:
        for key, value in crowd.items():
            pipeline.set(key, value)
        pipeline.execute()
    phone.client.mset({keys.verification(phone.slot.phone_hash, f"{n:022d}"): b"x" for n in range(250)})

    forgotten = AdminStore(phone.store.redis).erase_phone(phone.slot.phone_hash)

    assert forgotten.keys == 250
    assert phone.client.unlink(*crowd) == len(crowd)


# ── when it does not work ──


def test_row_of_a_newer_version_is_left_alone(admin_store: AdminStore, phone: Phone) -> None:
    phone.client.set(keys.phone_state(phone.slot.phone_hash), b"\x02whatever", ex=60)

    for act in (
        facts_of,
        lambda o, p: o.clear_phone(p.slot.phone_hash),
        lambda _, p: p.store.unlock(p.slot.phone_hash),
    ):
        with pytest.raises(StoreUnavailable):
            act(admin_store, phone)

    assert phone.client.get(keys.phone_state(phone.slot.phone_hash)) == b"\x02whatever"


def test_failing_store_is_told_without_its_words(redis_server: object, real_phone: Phone) -> None:
    admin_store = AdminStore(real_phone.store.redis)
    tag = real_phone.slot.phone_hash
    real_phone.client.lpush(keys.phone_state(tag), b"not ours")

    with pytest.raises(StoreUnavailable) as failed:
        facts_of(admin_store, real_phone)

    assert tag not in repr(failed.value)
    assert failed.value.__cause__ is None
    assert admin_store.erase_phone(tag).keys == 1
