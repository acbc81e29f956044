"""Repeated attempts, and the facts of an approval."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.phone_in_store import CLIENT, RIGHT, WRONG, Phone

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
    verification: Verification,
    digest: bytes,
    call: bytes = b"",
    *,
    at: int = 7,
    client: str = CLIENT,
) -> Approval:
    attempt = CodeAttempt({"2026a": digest}, SHAPES, at, call)
    return phone.store.attempt(phone.phone_key, client, verification.verification_hash, attempt)


def test_approval_has_the_number_of_failed_attempts(phone: Phone) -> None:
    verification = phone.open()
    for _ in range(3):
        with pytest.raises(WrongCode):
            submit(phone, verification, WRONG)

    approval = submit(phone, verification, RIGHT)

    assert replace(approval, seconds_to_verify=0) == Approval(
        "login", failed_attempts=3, approved_at=7, route="main"
    )


def test_approval_has_the_age_and_the_route_of_the_verification(phone: Phone) -> None:
    verification = phone.open()
    phone.pass_time(60)

    approval = submit(phone, verification, RIGHT)

    assert approval.route == "main"
    assert 60 <= approval.seconds_to_verify < 120


def test_approval_in_restricted_mode_has_no_failed_attempts(phone: Phone) -> None:
    restricted = phone.with_limits(restrict_after_failures=1, failures_per_hour=99)
    first = restricted.open()
    with pytest.raises(WrongCode):
        submit(restricted, first, WRONG)
    restricted.pass_time(60)

    assert submit(restricted, restricted.open(), RIGHT).failed_attempts == 0


def test_same_call_gets_the_same_approval_again(phone: Phone) -> None:
    verification = phone.open()
    submit(phone, verification, RIGHT, THIS, at=1_000)

    assert submit(phone, verification, RIGHT, THIS, at=2_000) == Approval(
        "login", failed_attempts=0, approved_at=1_000, replayed=True, route="main"
    )


@pytest.mark.parametrize("call", [b"", ANOTHER])
def test_other_calls_do_not(phone: Phone, call: bytes) -> None:
    verification = phone.open()
    submit(phone, verification, RIGHT, THIS)

    with pytest.raises(AlreadyVerified):
        submit(phone, verification, RIGHT, call)


def test_call_without_an_id_is_never_replayed(phone: Phone) -> None:
    verification = phone.open()
    submit(phone, verification, RIGHT)

    with pytest.raises(AlreadyVerified):
        submit(phone, verification, RIGHT)


def test_other_client_cannot_replay_a_call(phone: Phone) -> None:
    verification = phone.open()
    submit(phone, verification, RIGHT, THIS)

    with pytest.raises(VerificationNotFound):
        submit(phone, verification, RIGHT, THIS, client="other")


def test_wrong_code_is_counted_however_often_the_call_is_made(phone: Phone) -> None:
    verification = phone.open()
    for left in (4, 3):
        with pytest.raises(WrongCode) as wrong:
            submit(phone, verification, WRONG, THIS)
        assert wrong.value.attempts_left == left


def test_approved_record_survives_a_report(phone: Phone) -> None:
    verification = phone.open()
    submit(phone, verification, RIGHT, THIS, at=1_795_421_261)
    before = phone.read(verification)

    assert submit(phone, verification, RIGHT, THIS).approved_at == 1_795_421_261
    assert phone.read(verification).sends == before.sends


def test_proof_is_redeemed_again_by_the_same_call_only(phone: Phone) -> None:
    def redeem(call: bytes) -> bool:
        return phone.store.redeem(phone.phone_key.phone_hash, "v" * 22, 60, call)

    assert [redeem(THIS), redeem(THIS)] == [False, True]
    for call in (b"", ANOTHER):
        with pytest.raises(ProofRedeemed):
            redeem(call)


def test_proof_redeemed_without_an_id_stays_redeemed(phone: Phone) -> None:
    assert not phone.store.redeem(phone.phone_key.phone_hash, "v" * 22, 60)

    for call in (b"", THIS):
        with pytest.raises(ProofRedeemed):
            phone.store.redeem(phone.phone_key.phone_hash, "v" * 22, 60, call)


def test_a40_test_phone_has_wide_send_limits_and_all_others(phone: Phone) -> None:
    free = replace(phone, phone_key=replace(phone.phone_key, limits=TEST_PHONE_LIMITS))
    for _ in range(4):
        verification = free.open()
        free.resend(verification)
        with pytest.raises(WrongCode):
            submit(free, verification, WRONG)

    assert free.read(verification).sends_left == 2


def test_a40_endless_request_and_cancel_with_a_test_phone_is_limited(phone: Phone) -> None:
    free = replace(phone, phone_key=replace(phone.phone_key, limits=TEST_PHONE_LIMITS))
    for _ in range(60):
        verification = free.open()
        free.store.cancel(free.phone_key, CLIENT, verification.verification_hash)

    with pytest.raises(LimitReached) as full:
        free.open()
    assert full.value.limit == "phone_sends_per_hour"
    assert len(free.stored_keys()) == 61
