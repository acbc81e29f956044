"""The behavior of the store on every backend: verifications of one phone."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest
from support.phone_in_store import CLIENT, RIGHT, WRONG, Phone, new_verification

from otp_service.domain.codes import CodeType
from otp_service.domain.errors import (
    AlreadyVerified,
    AttemptsExhausted,
    CooldownActive,
    InternalError,
    InvalidCode,
    LimitReached,
    ProofRedeemed,
    ProviderRateLimited,
    StoreUnavailable,
    VerificationCanceled,
    VerificationExpired,
    VerificationNotFound,
    WrongCode,
)
from otp_service.domain.limits import Budget
from otp_service.domain.risk import PrecheckRequest
from otp_service.domain.verification import CodeAttempt, DeliveryStatus, SendDisposition, Status


def fail(phone: Phone, times: int, **changes: int) -> None:
    """Fail *times* attempts, in new verifications."""
    while times:
        verification = phone.open(**changes)
        for _ in range(min(times, verification.attempts_left)):
            with pytest.raises(WrongCode):
                phone.submit(verification, WRONG)
            times -= 1
        phone.pass_time(8 * 3600)


# ── attempts ──


def test_right_code_approves(phone: Phone) -> None:
    verification = phone.open()

    assert phone.submit(verification, RIGHT) == "login"

    assert phone.read(verification).status is Status.APPROVED


def test_right_code_approves_only_once(phone: Phone) -> None:
    verification = phone.open()
    phone.submit(verification, RIGHT)

    with pytest.raises(AlreadyVerified):
        phone.submit(verification, RIGHT)


def test_wrong_code_uses_up_an_attempt(phone: Phone) -> None:
    verification = phone.open()

    attempts_left = []
    for _ in range(5):
        with pytest.raises(WrongCode) as wrong:
            phone.submit(verification, WRONG)
        attempts_left.append(wrong.value.attempts_left)

    assert attempts_left == [4, 3, 2, 1, 0]
    with pytest.raises(AttemptsExhausted):
        phone.submit(verification, RIGHT)


def test_resend_keeps_the_attempts(phone: Phone) -> None:
    verification = phone.open()
    for _ in range(3):
        with pytest.raises(WrongCode):
            phone.submit(verification, WRONG)
    phone.pass_time(60)

    again = phone.resend(verification)

    assert again.attempts_left == 2


def test_code_of_another_key_id_is_wrong(phone: Phone) -> None:
    verification = phone.open(kid="k0")

    with pytest.raises(WrongCode):
        phone.submit(verification, RIGHT)


def test_code_of_impossible_type_uses_no_attempt(phone: Phone) -> None:
    verification = phone.open(code_type=CodeType.ALNUM)

    attempt = CodeAttempt({"2026a": WRONG}, frozenset({CodeType.DIGITS}), at=0)

    with pytest.raises(InvalidCode):
        phone.store.attempt(phone.phone_key, CLIENT, verification.verification_hash, attempt)
    assert phone.read(verification).attempts_left == 5


def test_other_client_finds_nothing(phone: Phone) -> None:
    verification = phone.open()

    with pytest.raises(VerificationNotFound):
        phone.submit(verification, RIGHT, client="other")
    with pytest.raises(VerificationNotFound):
        phone.store.read(phone.phone_key, "other", verification.verification_hash)
    with pytest.raises(VerificationNotFound):
        phone.store.cancel(phone.phone_key, "other", verification.verification_hash)
    assert phone.read(verification).attempts_left == 5


def test_other_phone_finds_nothing(phone: Phone) -> None:
    verification = phone.open()
    stranger = replace(phone, phone_key=replace(phone.phone_key, phone_hash=secrets.token_urlsafe(12)))

    with pytest.raises(VerificationNotFound):
        stranger.submit(verification, RIGHT)


@pytest.mark.parametrize("after", [299, -3])
def test_code_lives_until_its_expiry(phone: Phone, after: float) -> None:
    verification = phone.open()
    phone.pass_time(after)

    assert phone.submit(verification, RIGHT) == "login"


@pytest.mark.parametrize("after", [300, 301, -7200], ids=["expiry", "later", "clock stepped back"])
def test_code_is_invalid_after_its_expiry_and_before_its_issue(phone: Phone, after: float) -> None:
    verification = phone.open()
    phone.pass_time(after)

    with pytest.raises(VerificationExpired):
        phone.submit(verification, RIGHT)


def test_several_verifications_may_be_open_at_once(phone: Phone) -> None:
    mine = phone.open()
    phone.pass_time(60)
    theirs = phone.open()
    for _ in range(5):
        with pytest.raises(WrongCode):
            phone.submit(theirs, WRONG)

    assert phone.submit(mine, RIGHT) == "login"


# ── sends ──


def test_second_request_within_the_cooldown_is_refused(phone: Phone) -> None:
    phone.open()
    phone.pass_time(59)

    with pytest.raises(CooldownActive) as early:
        phone.open()
    assert early.value.retry_after == 1
    phone.pass_time(1)
    phone.open()


def test_cooldown_grows_within_the_hour(phone: Phone) -> None:
    waits = []
    for _ in range(4):
        phone.open()
        with pytest.raises(CooldownActive) as early:
            phone.open()
        waits.append(early.value.retry_after)
        phone.pass_time(waits[-1])

    assert waits == [60, 60, 120, 300]


@pytest.mark.parametrize(
    ("gap", "count", "limit", "span"),
    [(301, 5, "phone_sends_per_hour", 3600), (3601, 10, "phone_sends_per_day", 86400)],
    ids=["hour", "day"],
)
def test_window_is_exact(phone: Phone, gap: int, count: int, limit: str, span: int) -> None:
    for _ in range(count):
        phone.open()
        phone.pass_time(gap)

    with pytest.raises(LimitReached) as full:
        phone.open()

    assert full.value.limit == limit
    assert full.value.retry_after == pytest.approx(span - count * gap, abs=1)
    phone.pass_time(full.value.retry_after - 1)
    with pytest.raises(LimitReached):
        phone.open()
    phone.pass_time(1)
    phone.open()


def test_one_requester_gets_fewer_sends_than_the_phone(phone: Phone) -> None:
    stranger = phone.from_ip(b"stranger....")
    for _ in range(4):
        stranger.open()
        phone.pass_time(301)

    with pytest.raises(LimitReached) as full:
        stranger.open()
    assert full.value.limit == "phone_requester_sends_per_hour"
    phone.from_ip(b"owner.......").open()


def test_sends_left_is_the_lowest_of_all_limits(phone: Phone) -> None:
    owner = phone.from_ip(b"owner.......")
    for _ in range(3):
        verification = owner.open()
        phone.pass_time(301)

    assert verification.sends_left == 1  # 3 of the verification, 2 of the hour, 1 of the requester


def test_resend_extends_the_lifetime_to_at_most_ten_minutes(phone: Phone) -> None:
    verification = phone.open()
    phone.pass_time(250)
    again = phone.resend(verification)
    assert round(again.expires_at - verification.issued_at) == 550
    phone.pass_time(229)
    last = phone.resend(again)
    assert round(last.expires_at - verification.issued_at) == 600
    assert last.resend_at is None


def test_resend_with_a_too_short_lifetime_is_rejected(phone: Phone) -> None:
    verification = phone.open()
    phone.pass_time(250)
    phone.resend(verification)
    phone.pass_time(231)

    with pytest.raises(VerificationExpired):
        phone.store.reserve_resend(phone.phone_key, CLIENT, verification.verification_hash, 300, {})


def test_resends_end_at_max_sends(phone: Phone) -> None:
    verification = phone.open(sends=2)
    phone.pass_time(60)
    again = phone.resend(verification)
    phone.pass_time(60)

    assert (again.sends_left, again.resend_at) == (0, None)
    with pytest.raises(LimitReached) as full:
        phone.resend(verification)
    assert full.value.limit == "verification_sends"


def test_resend_repeats_salt_and_key_id(phone: Phone) -> None:
    verification = phone.open()
    phone.pass_time(60)

    reservation = phone.store.reserve_resend(phone.phone_key, CLIENT, verification.verification_hash, 300, {})

    assert (reservation.kid, reservation.salt) == ("2026a", b"s" * 16)
    assert [send.number for send in reservation.verification.sends] == [1, 2]


def test_same_id_is_never_created_twice(phone: Phone) -> None:
    new = new_verification()
    phone.store.create(phone.phone_key, new, {})
    phone.pass_time(60)

    with pytest.raises(InternalError):
        phone.store.create(phone.phone_key, new, {})


# ── send results ──


def test_cooldown_runs_from_acceptance(phone: Phone) -> None:
    verification = phone.open(result=None)
    phone.pass_time(4)

    after = phone.record_result(verification, SendDisposition.ACCEPTED)

    assert after is not None
    assert after.resend_in == 60
    assert after.delivery is DeliveryStatus.ACCEPTED


def test_first_send_that_was_not_sent_leaves_no_state(phone: Phone) -> None:
    verification = phone.open(result=None)

    assert phone.record_result(verification, SendDisposition.NOT_SENT) is None

    assert phone.stored_keys() == [
        f"otp:{{{phone.phone_key.phone_hash}}}".encode()
    ]  # what the provider said, for the operator
    phone.open()


def test_resend_that_was_not_sent_releases_its_quota(phone: Phone) -> None:
    verification = phone.open()
    phone.pass_time(60)
    again = phone.store.reserve_resend(
        phone.phone_key, CLIENT, verification.verification_hash, 300, {}
    ).verification

    after = phone.record_result(again, SendDisposition.NOT_SENT)

    assert after is not None
    assert after.resend_in == 0
    assert after.status is Status.PENDING
    phone.resend(verification)


def test_release_of_a_send_keeps_the_others_counted(phone: Phone) -> None:
    twice = phone.with_limits(sends_per_hour=2)
    for disposition in (SendDisposition.ACCEPTED, SendDisposition.NOT_SENT, SendDisposition.ACCEPTED):
        twice.open(result=disposition)
        phone.pass_time(60)

    with pytest.raises(LimitReached) as full:
        twice.open()

    assert full.value.limit == "phone_sends_per_hour"


def test_rejected_recipient_cancels_the_verification_and_keeps_the_quota(phone: Phone) -> None:
    verification = phone.open(result=SendDisposition.RECIPIENT_REJECTED)

    assert phone.read(verification).status is Status.CANCELED
    with pytest.raises(CooldownActive):
        phone.open()


def test_rate_limited_phone_waits_for_the_providers_window(phone: Phone) -> None:
    verification = phone.open(result=None)

    phone.record_result(verification, SendDisposition.RATE_LIMITED, wait=1800)

    with pytest.raises(ProviderRateLimited) as later:
        phone.open()
    assert later.value.retry_after == 1800
    assert phone.read(verification).status is Status.PENDING


def test_unknown_outcome_keeps_quota_and_code(phone: Phone) -> None:
    verification = phone.open(result=SendDisposition.UNKNOWN)

    assert phone.read(verification).delivery is DeliveryStatus.UNKNOWN
    with pytest.raises(CooldownActive):
        phone.open()
    assert phone.submit(verification, RIGHT) == "login"


def test_send_result_after_approval_changes_nothing(phone: Phone) -> None:
    verification = phone.open(result=None)
    phone.submit(verification, RIGHT)

    after = phone.record_result(verification, SendDisposition.NOT_SENT)

    assert after is not None
    assert after.status is Status.APPROVED


# ── failures ──


def test_failures_of_the_hour_stop_new_verifications_only(phone: Phone) -> None:
    first = phone.open()
    phone.pass_time(60)
    second = phone.open()
    phone.pass_time(60)
    third = phone.open()
    phone.pass_time(120)
    for verification in (first, second):
        for _ in range(5):
            with pytest.raises(WrongCode):
                phone.submit(verification, WRONG)

    phone.pass_time(30)
    with pytest.raises(LimitReached) as full:
        phone.open()
    assert full.value.limit == "phone_failures_per_hour"
    assert phone.submit(third, RIGHT) == "login"


def test_failures_of_the_day_stop_new_verifications(phone: Phone) -> None:
    quick = phone.with_limits(failures_per_hour=200, sends_per_hour=10)
    for _ in range(4):
        verification = quick.open()
        for _ in range(5):
            with pytest.raises(WrongCode):
                quick.submit(verification, WRONG)
        phone.pass_time(3601)

    with pytest.raises(LimitReached) as full:
        phone.open()
    assert full.value.limit == "phone_failures_per_day"


def test_fifty_consecutive_failures_restrict_the_phone(phone: Phone) -> None:
    fail(phone, 50)

    restricted = phone.open()
    assert restricted.attempts_left == 1
    with pytest.raises(WrongCode):
        phone.submit(restricted, WRONG)
    phone.pass_time(3601)
    with pytest.raises(LimitReached) as full:
        phone.open()
    assert full.value.limit == "phone_slow_lane"
    assert full.value.retry_after == pytest.approx(86400 - 3601, abs=1)


def test_unsent_sms_does_not_use_the_daily_attempt_of_restricted_mode(phone: Phone) -> None:
    fail(phone, 50)

    phone.open(result=SendDisposition.NOT_SENT)

    phone.open()


def test_success_ends_restricted_mode(phone: Phone) -> None:
    fail(phone, 50)
    phone.submit(phone.open(), RIGHT)
    phone.pass_time(3600)

    assert phone.open().attempts_left == 5


def test_a_hundred_consecutive_failures_lock_the_phone(phone: Phone) -> None:
    fail(phone, 50)
    phone.pass_time(86400)
    for _ in range(50):
        with pytest.raises(WrongCode):
            phone.submit(phone.open(), WRONG)
        phone.pass_time(86400)

    with pytest.raises(LimitReached) as full:
        phone.open()

    assert full.value.limit == "phone_locked"
    assert full.value.retry_after == pytest.approx(89 * 86400, abs=1)


def test_failures_and_reserved_attempts_never_exceed_the_lock(phone: Phone) -> None:
    tight = phone.with_limits(lock_after_failures=12, restrict_after_failures=12, failures_per_hour=200)
    verifications = [tight.open()]
    phone.pass_time(60)
    verifications.append(tight.open())
    phone.pass_time(60)

    with pytest.raises(LimitReached) as full:
        tight.open()

    assert full.value.limit == "phone_failures_possible"
    assert full.value.retry_after == pytest.approx(185, abs=1)
    phone.pass_time(185)
    tight.open()


def test_wrong_code_leaves_the_attempts_of_other_verifications_reserved(phone: Phone) -> None:
    tight = phone.with_limits(lock_after_failures=12, restrict_after_failures=12, failures_per_hour=200)
    tight.open()
    phone.pass_time(60)
    with pytest.raises(WrongCode):
        tight.submit(tight.open(), WRONG)
    phone.pass_time(60)

    with pytest.raises(LimitReached) as full:
        tight.open()

    assert full.value.limit == "phone_failures_possible"


def test_consecutive_failures_are_kept_for_ninety_days(phone: Phone) -> None:
    with pytest.raises(WrongCode):
        phone.submit(phone.open(), WRONG)

    ttl = phone.client.ttl(f"otp:{{{phone.phone_key.phone_hash}}}")

    assert ttl == pytest.approx(90 * 86400, abs=60)


def test_expired_and_canceled_verifications_release_their_attempts(phone: Phone) -> None:
    tight = phone.with_limits(lock_after_failures=9, restrict_after_failures=9)
    verification = tight.open()
    tight.store.cancel(tight.phone_key, CLIENT, verification.verification_hash)
    phone.pass_time(60)

    tight.open()
    phone.pass_time(306)
    tight.open()


# ── budgets ──


def test_budget_is_charged_before_the_send(phone: Phone) -> None:
    budget = Budget(f"client:{secrets.token_hex(4)}", "client_sms_per_day", 1, 0.2)
    phone.budgets = {budget: 1}
    phone.open()
    phone.pass_time(60)

    with pytest.raises(LimitReached) as full:
        phone.open()

    assert full.value.limit == "client_sms_per_day"
    assert 0 < full.value.retry_after <= 86400


def test_exhausted_budget_charges_nothing_else(phone: Phone) -> None:
    roomy = Budget(f"client:{secrets.token_hex(4)}", "client_sms_per_day", 1, 0.2)
    full = Budget(f"service:{secrets.token_hex(4)}", "service_sms_per_day", 0, 0.2)
    phone.budgets = {roomy: 1, full: 0}

    with pytest.raises(LimitReached) as error:
        phone.open()

    assert error.value.limit == "service_sms_per_day"
    assert phone.stored_keys() == []
    phone.budgets = {roomy: 1}
    phone.open()


def test_rejected_reservation_refunds_the_budget(phone: Phone) -> None:
    budget = Budget(f"client:{secrets.token_hex(4)}", "client_sms_per_day", 2, 0.2)
    phone.open()
    with pytest.raises(CooldownActive):
        phone.store.create(phone.phone_key, new_verification(), {budget: 1})
    phone.pass_time(60)

    phone.budgets = {budget: 1}
    phone.open()


def test_failed_send_refunds_the_budget(phone: Phone) -> None:
    phone.budgets = {Budget(f"client:{secrets.token_hex(4)}", "client_sms_per_day", 1, 0.2): 1}

    phone.open(result=SendDisposition.NOT_SENT)

    phone.open()


def test_budget_starts_again_at_midnight_in_china(phone: Phone) -> None:
    phone.budgets = {Budget(f"client:{secrets.token_hex(4)}", "client_sms_per_day", 1, 0.2): 1}
    phone.open()
    with pytest.raises(LimitReached) as full:
        phone.store.create(phone.from_ip(b"x" * 12).phone_key, new_verification(), phone.budgets)
    phone.pass_time(full.value.retry_after)
    phone.pass_time(60)

    phone.open()


# ── the end ──


def test_canceled_verification_accepts_no_code(phone: Phone) -> None:
    verification = phone.open()
    phone.store.cancel(phone.phone_key, CLIENT, verification.verification_hash)
    phone.store.cancel(phone.phone_key, CLIENT, verification.verification_hash)

    with pytest.raises(VerificationCanceled):
        phone.submit(verification, RIGHT)


def test_approved_verification_cannot_be_canceled(phone: Phone) -> None:
    verification = phone.open()
    phone.submit(verification, RIGHT)

    with pytest.raises(AlreadyVerified):
        phone.store.cancel(phone.phone_key, CLIENT, verification.verification_hash)


def test_known_phone_is_remembered_for_ninety_days(phone: Phone) -> None:
    assert not phone.store.precheck(phone.phone_key, CLIENT, 5, PrecheckRequest()).known
    phone.submit(phone.open(), RIGHT)

    phone.pass_time(90 * 86400 - 1)
    assert phone.store.precheck(phone.phone_key, CLIENT, 5, PrecheckRequest()).known
    phone.pass_time(2)
    assert not phone.store.precheck(phone.phone_key, CLIENT, 5, PrecheckRequest()).known


@pytest.mark.parametrize("end", ["approved", "exhausted", "canceled"])
def test_ended_verification_keeps_neither_salt_nor_digest(phone: Phone, end: str) -> None:
    verification = phone.open()
    if end == "approved":
        phone.submit(verification, RIGHT)
    elif end == "canceled":
        phone.store.cancel(phone.phone_key, CLIENT, verification.verification_hash)
    else:
        for _ in range(5):
            with pytest.raises(WrongCode):
                phone.submit(verification, WRONG)

    for key in phone.stored_keys():
        value = phone.client.get(key)
        assert isinstance(value, bytes)
        assert RIGHT not in value
        assert b"s" * 16 not in value


def test_every_key_has_a_ttl(phone: Phone) -> None:
    phone.budgets = {Budget(f"client:{secrets.token_hex(4)}", "client_sms_per_day", 9, 0.2): 9}
    verification = phone.open()
    with pytest.raises(WrongCode):
        phone.submit(verification, WRONG)
    phone.submit(verification, RIGHT)
    phone.store.redeem(phone.phone_key.phone_hash, verification.verification_hash, 600)

    ttls = {key: phone.client.pttl(key) for key in phone.stored_keys()}
    ttls |= {key: phone.client.pttl(key) for key in phone.client.scan_iter("otp:budget:*")}

    assert ttls
    assert all(ttl > 0 for ttl in ttls.values()), ttls


def test_ended_verification_is_kept_for_fifteen_minutes(phone: Phone) -> None:
    verification = phone.open()
    key = f"otp:{{{phone.phone_key.phone_hash}}}:{verification.verification_hash}"
    assert phone.client.pttl(key) == pytest.approx((300 + 900) * 1000, abs=3000)

    phone.submit(verification, RIGHT)

    assert phone.client.pttl(key) == pytest.approx(900 * 1000, abs=3000)


def test_proof_is_redeemed_once(phone: Phone) -> None:
    phone.store.redeem(phone.phone_key.phone_hash, "v" * 22, 60)

    with pytest.raises(ProofRedeemed):
        phone.store.redeem(phone.phone_key.phone_hash, "v" * 22, 60)


def test_scripts_are_loaded_again_after_script_flush(phone: Phone) -> None:
    verification = phone.open()
    phone.client.script_flush()
    assert phone.read(verification).status is Status.PENDING
    phone.client.script_flush()
    phone.pass_time(60)
    phone.budgets = {Budget(f"client:{secrets.token_hex(4)}", "client_sms_per_day", 9, 0.2): 9}
    phone.client.script_flush()
    again = phone.store.reserve_resend(
        phone.phone_key, CLIENT, verification.verification_hash, 300, phone.budgets
    )
    assert len(again.verification.sends) == 2


def test_verification_of_a_newer_format_is_left_alone(phone: Phone) -> None:
    verification = phone.open()
    for key in phone.stored_keys():
        phone.client.set(key, b"\x02 something newer", ex=60)

    with pytest.raises(Exception, match="store"):
        phone.read(verification)


# ── found by attacking it ──


def test_limit_is_exact_after_a_small_clock_step_back(phone: Phone) -> None:
    """A verification that the clock step makes valid again still has its attempts reserved."""
    tight = phone.with_limits(lock_after_failures=9, restrict_after_failures=9, failures_per_hour=200)
    first = tight.open()
    phone.pass_time(301)
    with pytest.raises(LimitReached):
        tight.open()
    phone.pass_time(-3)

    with pytest.raises(WrongCode):
        tight.submit(first, WRONG)


def test_cooldown_does_not_shrink_during_the_wait(phone: Phone) -> None:
    for gap in (3300, 100, 150, 10):
        phone.open()
        phone.pass_time(gap)

    with pytest.raises(CooldownActive) as early:
        phone.open()
    phone.pass_time(early.value.retry_after - 1)
    with pytest.raises(CooldownActive):
        phone.open()
    phone.pass_time(1)
    phone.open()


def test_resend_without_budget_uses_no_quota(phone: Phone) -> None:
    verification = phone.open()
    phone.budgets = {Budget(f"client:{secrets.token_hex(4)}", "client_sms_per_day", 1, 0.2): 0}
    for _ in range(3):
        phone.pass_time(61)
        with pytest.raises(LimitReached):
            phone.resend(verification)

    after = phone.read(verification)
    assert after.expires_at == verification.expires_at
    assert after.sends_left == verification.sends_left
    assert len(after.sends) == 1


def test_refund_of_yesterday_leaves_today_alone(phone: Phone) -> None:
    budget = Budget(f"client:{secrets.token_hex(4)}", "client_sms_per_day", 1, 0.2)
    phone.budgets = {budget: 1}
    yesterday = phone.open(result=None)
    phone.pass_time(86400)
    phone.open()

    phone.record_result(yesterday, SendDisposition.NOT_SENT)

    phone.pass_time(60)
    with pytest.raises(LimitReached) as full:
        phone.open()
    assert full.value.limit == "client_sms_per_day"


def test_unreadable_budget_allows_no_sends(phone: Phone) -> None:
    budget = Budget(f"client:{secrets.token_hex(4)}", "client_sms_per_day", 9, 0.2)
    phone.client.set(f"otp:budget:{{sms}}:{budget.scope}", "v2 20781 5", ex=60)
    phone.budgets = {budget: 9}

    with pytest.raises(StoreUnavailable):
        phone.open()
    assert phone.stored_keys() == []


def test_short_lived_code_can_be_sent_again(phone: Phone) -> None:
    verification = phone.open(ttl=100)
    phone.pass_time(61)

    assert len(phone.resend(verification, ttl=100).sends) == 2


@pytest.mark.parametrize("field", ["client", "purpose", "kid"])
def test_text_too_long_for_the_record_creates_no_verification(phone: Phone, field: str) -> None:
    with pytest.raises(StoreUnavailable):
        phone.open(result=None, **{field: "x" * 256})

    assert phone.stored_keys() == []
    phone.open(result=None, **{field: "x" * 255})
