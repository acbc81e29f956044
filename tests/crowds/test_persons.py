"""Single users: those with lost SMS, double clicks and mistyped codes are verified without a challenge."""

from __future__ import annotations

import math

import pytest
from crowds.people import Crowd, wait_of
from support.service_on_redis import Stage

from otp_service.domain.errors import CooldownActive, WrongCode

PHONE = "+8613800138000"
HOME = "192.0.2.10"


@pytest.fixture
def person(stage: Stage) -> Crowd:
    return Crowd(stage, HOME)


@pytest.mark.parametrize(
    ("habit", "sms"),
    [("log_in", 1), ("mistype_once", 1), ("mistype_twice", 1), ("lose_two_sms", 3), ("click_on", 1)],
)
def test_person_is_verified(stage: Stage, person: Crowd, habit: str, sms: int) -> None:
    stage.schedule(0, getattr(person, habit)(PHONE))

    stage.run_all()

    assert stage.refusals == []
    assert stage.verified == [PHONE]
    assert stage.challenges.issued == []
    assert len(stage.sender.sent) == sms


def test_user_who_misses_two_sms_gets_the_same_code_three_times(stage: Stage, person: Crowd) -> None:
    stage.schedule(0, person.lose_two_sms(PHONE))

    stage.run_all()

    assert len({sms.code.get_secret_value() for sms in stage.sender.sent}) == 1


def test_user_with_several_verifications_may_submit_any_of_the_codes(stage: Stage) -> None:
    opened = []
    for _ in range(3):
        sent = stage.request(PHONE, HOME)
        opened.append((sent, stage.sender.last_code))
        stage.pass_time(wait_of(sent))

    for sent, code in reversed(opened):
        stage.verify(PHONE, HOME, sent, code)

    assert stage.verified == [PHONE] * 3
    assert stage.challenges.issued == []


def test_retry_after_of_a_resend_is_exact(stage: Stage) -> None:
    stage.request(PHONE, HOME)
    waits = []
    for pause in (5, 10, 15):
        stage.pass_time(pause)
        with pytest.raises(CooldownActive) as refusal:
            stage.request(PHONE, HOME)
        waits.append(refusal.value.retry_after)

    stage.pass_time(waits[-1] - 1)
    with pytest.raises(CooldownActive):
        stage.request(PHONE, HOME)
    stage.pass_time(1)
    stage.request(PHONE, HOME)

    assert waits == [55, 45, 30]
    assert len(stage.sender.sent) == 2
    assert stage.challenges.issued == []


def test_two_devices_of_one_user_are_both_verified(stage: Stage) -> None:
    """The second device waits for the provider's minute; then the two are independent."""
    web_app = stage.request(PHONE, HOME)
    first_code = stage.sender.last_code
    with pytest.raises(CooldownActive) as early:
        stage.request(PHONE, "192.0.2.99")
    stage.pass_time(math.ceil(early.value.retry_after))
    train = stage.request(PHONE, "192.0.2.99")
    train_code = stage.sender.last_code

    with pytest.raises(WrongCode):
        stage.verify(PHONE, "192.0.2.99", train, first_code)
    on_the_train = stage.verify(PHONE, "192.0.2.99", train, train_code)
    on_the_desktop = stage.verify(PHONE, HOME, web_app, first_code)

    assert on_the_train.proof != on_the_desktop.proof
    assert {on_the_train.verification_id, on_the_desktop.verification_id} == {
        train.verification_id,
        web_app.verification_id,
    }
    assert stage.challenges.issued == []


def test_known_phone_is_served_while_its_prefix_is_pumped(stage: Stage) -> None:
    sent = stage.request(PHONE, HOME)
    stage.verify(PHONE, HOME, sent, stage.sender.last_code)
    stage.pass_time(61)
    for number in range(200):
        stage.schedule(
            number, Crowd(stage, f"198.18.0.{number % 50 + 1}").walk_away(f"{PHONE[:10]}{number:04d}")
        )
    stage.run_all()
    stage.challenges.issued.clear()

    again = stage.request(PHONE, HOME)
    stage.verify(PHONE, HOME, again, stage.sender.last_code)

    assert stage.refusals != []
    assert stage.challenges.issued == []
