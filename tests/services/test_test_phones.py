"""Test phones: a fixed code, no SMS, and proofs that say so."""

from __future__ import annotations

import pytest
from support import fakes
from support.fakes import NOW, SHOP, House

from otp_service.domain.codes import Code
from otp_service.domain.errors import CooldownActive, InvalidProof, WrongCode
from otp_service.domain.policy import TestPhone
from otp_service.domain.verification import DeliveryStatus
from otp_service.services.verification import Approved

PHONE, CODE = "+8613900001234", "135790"


@pytest.fixture
def house() -> House:
    return fakes.house(test_phones={PHONE: TestPhone(Code(CODE), NOW + 60)})


def approved(house: House) -> Approved:
    sent = house.service.request(SHOP, PHONE, purpose="login")
    return house.service.verify(SHOP, PHONE, sent.verification_id, CODE)


def test_test_phone_gets_no_sms_and_is_verified_by_its_code(house: House) -> None:
    sent = house.service.request(SHOP, PHONE, purpose="login")

    assert house.sender.sent == []
    assert (sent.verification.delivery, sent.verification.sends[0].route) == (DeliveryStatus.ACCEPTED, "test")
    assert house.store.taken == {}
    assert house.service.verify(SHOP, PHONE, sent.verification_id, CODE).proof


def test_resend_of_a_test_phone_sends_nothing_either(house: House) -> None:
    vid = house.service.request(SHOP, PHONE, purpose="login").verification_id
    house.clock.advance(60)
    house.service.resend(SHOP, PHONE, vid)

    assert house.sender.sent == []
    assert house.service.verify(SHOP, PHONE, vid, CODE).proof


def test_its_send_limits_are_wide_and_the_others_are_those_of_every_phone(house: House) -> None:
    house.service.request(SHOP, PHONE, purpose="login")

    limits = house.store.slots[-1].limits
    assert (limits.cooldown, limits.sends_per_hour) == ((0,), 60)
    assert (limits.failures_per_hour, limits.restrict_after_failures, limits.lock_after_failures) == (
        10,
        50,
        100,
    )


def test_wrong_code_of_a_test_phone_counts(house: House) -> None:
    vid = house.service.request(SHOP, PHONE, purpose="login").verification_id

    with pytest.raises(WrongCode) as wrong:
        house.service.verify(SHOP, PHONE, vid, "135791")
    assert wrong.value.attempts_left == 4


def test_its_proof_is_refused_unless_asked_for(house: House) -> None:
    proof = approved(house).proof

    with pytest.raises(InvalidProof):
        house.service.redeem(SHOP, proof, purpose="login")
    redeemed = house.service.redeem(SHOP, proof, purpose="login", allow_test=True)
    assert redeemed.proof.amr == ("test",)


def test_proof_of_another_phone_says_sms(house: House) -> None:
    other = "+8613900009999"
    vid = house.service.request(SHOP, other, purpose="login").verification_id
    proof = house.service.verify(SHOP, other, vid, house.sender.last_code).proof

    assert house.service.redeem(SHOP, proof, purpose="login").proof.amr == ("sms",)


def test_after_its_day_it_is_a_phone_like_any_other(house: House) -> None:
    house.clock.advance(61)
    house.service.request(SHOP, PHONE, purpose="login")

    assert len(house.sender.sent) == 1
    assert house.sender.last_code != CODE
    with pytest.raises(CooldownActive):
        house.service.request(SHOP, PHONE, purpose="login")


def test_its_code_can_not_be_printed(house: House) -> None:
    assert CODE not in repr(TestPhone(Code(CODE), NOW))


def test_it_is_asked_for_no_challenge_and_not_watched(house: House) -> None:
    house.ledger.level = 2
    house.service.request(SHOP, PHONE, purpose="login", client_ip="203.0.113.7")

    assert house.challenges.issued == []
    assert house.ledger.scopes == []


def test_a40_the_limits_of_its_requesters_address_hold(house: House) -> None:
    house.service.request(SHOP, PHONE, purpose="login", client_ip="203.0.113.7")

    knock = house.store.knocks[-1]
    assert knock.ip_quota is not None
    assert (knock.challenges_disabled, knock.conversion_scopes) == (True, ())


def test_its_approval_does_not_excuse_pumped_sms(house: House) -> None:
    """Its code is fixed, so an approval of it says nothing about the SMS that others got."""
    vid = house.service.request(SHOP, PHONE, purpose="login", client_ip="203.0.113.7").verification_id
    house.service.verify(SHOP, PHONE, vid, CODE, client_ip="203.0.113.7")

    assert [scopes for *_, scopes in house.ledger.approvals] == [()]
