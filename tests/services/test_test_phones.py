"""Test phones: a fixed code, no SMS, and proofs marked as tests."""

from __future__ import annotations

import pytest
from support import fakes
from support.fakes import NOW, SHOP, Harness

from otp_service.domain.codes import Code
from otp_service.domain.errors import CooldownActive, InvalidProof, WrongCode
from otp_service.domain.policy import TestPhone
from otp_service.domain.verification import DeliveryStatus
from otp_service.services.verification import Approved

PHONE, CODE = "+8613900001234", "135790"


@pytest.fixture
def harness() -> Harness:
    return fakes.harness(test_phones={PHONE: TestPhone(Code(CODE), NOW + 60)})


def approved(harness: Harness) -> Approved:
    sent = harness.service.request(SHOP, PHONE, purpose="login")
    return harness.service.verify(SHOP, PHONE, sent.verification_id, CODE)


def test_test_phone_gets_no_sms_and_is_verified_by_its_code(harness: Harness) -> None:
    sent = harness.service.request(SHOP, PHONE, purpose="login")

    assert harness.sender.sent == []
    assert (sent.verification.delivery, sent.verification.sends[0].route) == (DeliveryStatus.ACCEPTED, "test")
    assert harness.store.budget_counts() == []
    assert harness.service.verify(SHOP, PHONE, sent.verification_id, CODE).proof


def test_resend_to_a_test_phone_sends_nothing(harness: Harness) -> None:
    vid = harness.service.request(SHOP, PHONE, purpose="login").verification_id
    harness.clock.advance(60)
    harness.service.resend(SHOP, PHONE, vid)

    assert harness.sender.sent == []
    assert harness.service.verify(SHOP, PHONE, vid, CODE).proof


def test_test_phone_has_wide_send_limits_and_the_usual_failure_limits(harness: Harness) -> None:
    harness.service.request(SHOP, PHONE, purpose="login")

    limits = harness.store.phone_keys[-1].limits
    assert (limits.cooldown, limits.sends_per_hour) == ((0,), 60)
    assert (limits.failures_per_hour, limits.restrict_after_failures, limits.lock_after_failures) == (
        10,
        50,
        100,
    )


def test_wrong_code_for_a_test_phone_counts(harness: Harness) -> None:
    vid = harness.service.request(SHOP, PHONE, purpose="login").verification_id

    with pytest.raises(WrongCode) as wrong:
        harness.service.verify(SHOP, PHONE, vid, "135791")
    assert wrong.value.attempts_left == 4


def test_proof_of_a_test_phone_is_refused_by_default(harness: Harness) -> None:
    proof = approved(harness).proof

    with pytest.raises(InvalidProof):
        harness.service.redeem(SHOP, proof, purpose="login")
    redeemed = harness.service.redeem(SHOP, proof, purpose="login", allow_test=True)
    assert redeemed.proof.amr == ("test",)


def test_proof_of_another_phone_has_the_method_sms(harness: Harness) -> None:
    other = "+8613900009999"
    vid = harness.service.request(SHOP, other, purpose="login").verification_id
    proof = harness.service.verify(SHOP, other, vid, harness.sender.last_code).proof

    assert harness.service.redeem(SHOP, proof, purpose="login").proof.amr == ("sms",)


def test_expired_test_phone_is_an_ordinary_phone(harness: Harness) -> None:
    harness.clock.advance(61)
    harness.service.request(SHOP, PHONE, purpose="login")

    assert len(harness.sender.sent) == 1
    assert harness.sender.last_code != CODE
    with pytest.raises(CooldownActive):
        harness.service.request(SHOP, PHONE, purpose="login")


def test_fixed_code_earns_no_proof_of_an_sms_after_the_test_phone_has_expired(harness: Harness) -> None:
    vid = harness.service.request(SHOP, PHONE, purpose="login").verification_id
    harness.clock.advance(61)
    proof = harness.service.verify(SHOP, PHONE, vid, CODE).proof

    with pytest.raises(InvalidProof):
        harness.service.redeem(SHOP, proof, purpose="login")


def test_repr_of_a_test_phone_hides_its_code(harness: Harness) -> None:
    assert CODE not in repr(TestPhone(Code(CODE), NOW))


def test_test_phone_needs_no_challenge_and_counts_in_no_scope(harness: Harness) -> None:
    harness.usage_counters.level = 2
    harness.service.request(SHOP, PHONE, purpose="login", client_ip="203.0.113.7")

    assert harness.challenges.issued == []
    assert harness.usage_counters.scopes == []


def test_a40_limits_of_the_client_ip_apply_to_test_phones(harness: Harness) -> None:
    harness.service.request(SHOP, PHONE, purpose="login", client_ip="203.0.113.7")

    run_precheck = harness.store.prechecks[-1]
    assert run_precheck.ip_quota is not None
    assert (run_precheck.challenges_disabled, run_precheck.conversion_scopes) == (True, ())


def test_approval_of_a_test_phone_does_not_count_for_the_guard(harness: Harness) -> None:
    """The code is fixed, so its approval is no evidence that SMS to other phones were wanted."""
    vid = harness.service.request(SHOP, PHONE, purpose="login", client_ip="203.0.113.7").verification_id
    harness.service.verify(SHOP, PHONE, vid, CODE, client_ip="203.0.113.7")

    assert [scopes for *_, scopes in harness.usage_counters.approvals] == [()]
