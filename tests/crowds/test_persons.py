"""Single users: those with lost SMS, double clicks and mistyped codes are verified without a challenge."""

from __future__ import annotations

import math

import pytest
from crowds.people import Crowd, resend_delay
from support.service_on_redis import Simulation

from otp_service.domain.errors import CooldownActive, WrongCode

PHONE = "+8613800138000"
HOME = "192.0.2.10"


@pytest.fixture
def person(simulation: Simulation) -> Crowd:
    return Crowd(simulation, HOME)


@pytest.mark.parametrize(
    ("habit", "sms"),
    [("log_in", 1), ("mistype_once", 1), ("mistype_twice", 1), ("lose_two_sms", 3), ("click_repeatedly", 1)],
)
def test_person_is_verified(simulation: Simulation, person: Crowd, habit: str, sms: int) -> None:
    simulation.schedule(0, getattr(person, habit)(PHONE))

    simulation.run_all()

    assert simulation.refusals == []
    assert simulation.verified == [PHONE]
    assert simulation.challenges.issued == []
    assert len(simulation.sender.sent) == sms


def test_user_who_misses_two_sms_gets_the_same_code_three_times(
    simulation: Simulation, person: Crowd
) -> None:
    simulation.schedule(0, person.lose_two_sms(PHONE))

    simulation.run_all()

    assert len({sms.code.get_secret_value() for sms in simulation.sender.sent}) == 1


def test_user_with_several_verifications_may_submit_any_of_the_codes(simulation: Simulation) -> None:
    opened = []
    for _ in range(3):
        sent = simulation.request(PHONE, HOME)
        opened.append((sent, simulation.sender.last_code))
        simulation.pass_time(resend_delay(sent))

    for sent, code in reversed(opened):
        simulation.verify(PHONE, HOME, sent, code)

    assert simulation.verified == [PHONE] * 3
    assert simulation.challenges.issued == []


def test_retry_after_of_a_resend_is_exact(simulation: Simulation) -> None:
    simulation.request(PHONE, HOME)
    waits = []
    for pause in (5, 10, 15):
        simulation.pass_time(pause)
        with pytest.raises(CooldownActive) as refusal:
            simulation.request(PHONE, HOME)
        waits.append(refusal.value.retry_after)

    simulation.pass_time(waits[-1] - 1)
    with pytest.raises(CooldownActive):
        simulation.request(PHONE, HOME)
    simulation.pass_time(1)
    simulation.request(PHONE, HOME)

    assert waits == [55, 45, 30]
    assert len(simulation.sender.sent) == 2
    assert simulation.challenges.issued == []


def test_two_devices_of_one_user_are_both_verified(simulation: Simulation) -> None:
    """The second device waits for the provider's minute; then the two are independent."""
    web_app = simulation.request(PHONE, HOME)
    first_code = simulation.sender.last_code
    with pytest.raises(CooldownActive) as early:
        simulation.request(PHONE, "192.0.2.99")
    simulation.pass_time(math.ceil(early.value.retry_after))
    train = simulation.request(PHONE, "192.0.2.99")
    train_code = simulation.sender.last_code

    with pytest.raises(WrongCode):
        simulation.verify(PHONE, "192.0.2.99", train, first_code)
    on_the_train = simulation.verify(PHONE, "192.0.2.99", train, train_code)
    on_the_desktop = simulation.verify(PHONE, HOME, web_app, first_code)

    assert on_the_train.proof != on_the_desktop.proof
    assert {on_the_train.verification_id, on_the_desktop.verification_id} == {
        train.verification_id,
        web_app.verification_id,
    }
    assert simulation.challenges.issued == []


def test_known_phone_is_served_while_its_prefix_is_pumped(simulation: Simulation) -> None:
    sent = simulation.request(PHONE, HOME)
    simulation.verify(PHONE, HOME, sent, simulation.sender.last_code)
    simulation.pass_time(61)
    for number in range(200):
        simulation.schedule(
            number, Crowd(simulation, f"198.18.0.{number % 50 + 1}").walk_away(f"{PHONE[:10]}{number:04d}")
        )
    simulation.run_all()
    simulation.challenges.issued.clear()

    again = simulation.request(PHONE, HOME)
    simulation.verify(PHONE, HOME, again, simulation.sender.last_code)

    assert simulation.refusals != []
    assert simulation.challenges.issued == []
