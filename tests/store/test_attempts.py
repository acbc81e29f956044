"""Attempts that are repeated, and what an approval tells."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.phone_stories import CLIENT, RIGHT, WRONG, Phone

from otp_service.domain.codes import CodeType
from otp_service.domain.errors import (
    AlreadyVerified,
    LimitReached,
    ProofRedeemed,
    VerificationNotFound,
    WrongCode,
)
from otp_service.domain.limits import TEST_PHONE_LIMITS
from otp_service.domain.verification import Approval, CodeAttempt, Verification

SHAPES = frozenset({CodeType.DIGITS})
THIS, ANOTHER = b"t" * 16, b"a" * 16


def submit(
    phone: Phone,
    opened: Verification,
    digest: bytes,
    call: bytes = b"",
    *,
    at: int = 7,
    client: str = CLIENT,
) -> Approval:
    attempt = CodeAttempt({"2026a": digest}, SHAPES, at, call)
    return phone.store.attempt(phone.slot, client, opened.verification_hash, attempt)


def test_approval_tells_how_many_were_wrong_before(phone: Phone) -> None:
    opened = phone.open()
    for _ in range(3):
        with pytest.raises(WrongCode):
            submit(phone, opened, WRONG)

    approval = submit(phone, opened, RIGHT)

    assert replace(approval, seconds_to_verify=0) == Approval(
        "login", failed_attempts=3, approved_at=7, route="main"
    )


def test_approval_tells_how_old_the_verification_is_and_by_which_route_it_came(phone: Phone) -> None:
    opened = phone.open()
    phone.pass_time(60)

    approval = submit(phone, opened, RIGHT)

    assert approval.route == "main"
    assert 60 <= approval.seconds_to_verify < 120


def test_slow_lane_has_no_wrong_code_to_forgive(phone: Phone) -> None:
    slow = phone.limited(restrict_after_failures=1, failures_per_hour=99)
    first = slow.open()
    with pytest.raises(WrongCode):
        submit(slow, first, WRONG)
    slow.pass_time(60)

    assert submit(slow, slow.open(), RIGHT).failed_attempts == 0


def test_same_call_gets_the_same_approval_again(phone: Phone) -> None:
    opened = phone.open()
    submit(phone, opened, RIGHT, THIS, at=1_000)

    assert submit(phone, opened, RIGHT, THIS, at=2_000) == Approval(
        "login", failed_attempts=0, approved_at=1_000, replayed=True
    )


@pytest.mark.parametrize("call", [b"", ANOTHER])
def test_other_calls_do_not(phone: Phone, call: bytes) -> None:
    opened = phone.open()
    submit(phone, opened, RIGHT, THIS)

    with pytest.raises(AlreadyVerified):
        submit(phone, opened, RIGHT, call)


def test_call_without_an_id_is_never_repeated(phone: Phone) -> None:
    opened = phone.open()
    submit(phone, opened, RIGHT)

    with pytest.raises(AlreadyVerified):
        submit(phone, opened, RIGHT)


def test_other_client_does_not_profit_from_a_call(phone: Phone) -> None:
    opened = phone.open()
    submit(phone, opened, RIGHT, THIS)

    with pytest.raises(VerificationNotFound):
        submit(phone, opened, RIGHT, THIS, client="other")


def test_wrong_code_is_counted_however_often_the_call_is_made(phone: Phone) -> None:
    opened = phone.open()
    for left in (4, 3):
        with pytest.raises(WrongCode) as wrong:
            submit(phone, opened, WRONG, THIS)
        assert wrong.value.attempts_left == left


def test_approved_record_survives_a_report(phone: Phone) -> None:
    opened = phone.open()
    submit(phone, opened, RIGHT, THIS, at=1_795_421_261)
    before = phone.read(opened)

    assert submit(phone, opened, RIGHT, THIS).approved_at == 1_795_421_261
    assert phone.read(opened).sends == before.sends


def test_proof_is_redeemed_again_by_the_same_call_only(phone: Phone) -> None:
    def redeem(call: bytes) -> bool:
        return phone.store.redeem(phone.slot.phone_hash, "v" * 22, 60, call)

    assert [redeem(THIS), redeem(THIS)] == [False, True]
    for call in (b"", ANOTHER):
        with pytest.raises(ProofRedeemed):
            redeem(call)


def test_proof_redeemed_without_an_id_stays_redeemed(phone: Phone) -> None:
    assert not phone.store.redeem(phone.slot.phone_hash, "v" * 22, 60)

    for call in (b"", THIS):
        with pytest.raises(ProofRedeemed):
            phone.store.redeem(phone.slot.phone_hash, "v" * 22, 60, call)


def test_a40_test_phone_has_wide_send_limits_and_all_others(phone: Phone) -> None:
    free = replace(phone, slot=replace(phone.slot, limits=TEST_PHONE_LIMITS))
    for _ in range(4):
        opened = free.open()
        free.resend(opened)
        with pytest.raises(WrongCode):
            submit(free, opened, WRONG)

    assert free.read(opened).sends_left == 2


def test_a40_test_phone_that_is_opened_and_canceled_without_end_is_stopped(phone: Phone) -> None:
    free = replace(phone, slot=replace(phone.slot, limits=TEST_PHONE_LIMITS))
    for _ in range(60):
        opened = free.open()
        free.store.cancel(free.slot, CLIENT, opened.verification_hash)

    with pytest.raises(LimitReached) as full:
        free.open()
    assert full.value.limit == "phone_sends_per_hour"
    assert len(free.stored()) == 61
