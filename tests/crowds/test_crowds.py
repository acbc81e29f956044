"""Crowds behind one address, with the guard enforced: they all get their codes, and no riddle to solve."""

from __future__ import annotations

from crowds.people import Crowd
from support.service_on_redis import Stage

OFFICE, CARRIER = "203.0.113.7", "198.51.100.8"
NINE = 9 * 3600
TEN_MINUTES = 600
DAY = 86_400


def unbothered(stage: Stage) -> bool:
    """Tell whether everybody got what they asked for."""
    return stage.refusals == [] and stage.challenges.issued == []


def test_office_of_300_comes_in_within_ten_minutes(stage: Stage) -> None:
    stage.pass_time(NINE)
    admin_store = Crowd(stage, OFFICE)
    habits = {
        admin_store.log_in: 0.68,
        admin_store.mistype_once: 0.05,
        admin_store.mistype_twice: 0.02,
        admin_store.click_on: 0.03,
        admin_store.lose_two_sms: 0.02,
        admin_store.walk_away: 0.2,
    }
    for phone in admin_store.phones(300, prefixes=40):
        stage.tell(admin_store.random.uniform(0, TEN_MINUTES), admin_store.one_of(habits)(phone))

    stage.play()

    assert unbothered(stage)
    assert 225 <= len(stage.verified) <= 255  # 80 %, by chance a few more or less


def test_office_whose_phones_were_bought_together_is_no_pumping(stage: Stage) -> None:
    """A hundred of one prefix: what is verified soon outweighs what is not yet."""
    stage.pass_time(NINE)
    admin_store = Crowd(stage, OFFICE)
    for phone in admin_store.phones(100, prefixes=1):
        habit = admin_store.one_of({admin_store.log_in: 0.8, admin_store.walk_away: 0.2})
        stage.tell(admin_store.random.uniform(0, TEN_MINUTES), habit(phone))

    stage.play()

    assert unbothered(stage)
    assert len(stage.sender.sent) == 100


def test_office_of_impatient_people_is_no_pumping(stage: Stage) -> None:
    """What is refused for its cooldown is no SMS, so that nobody has to verify it."""
    stage.pass_time(NINE)
    admin_store = Crowd(stage, OFFICE)
    for phone in admin_store.phones(300, prefixes=40):
        habit = admin_store.one_of(
            {admin_store.click_on: 0.4, admin_store.log_in: 0.4, admin_store.walk_away: 0.2}
        )
        stage.tell(admin_store.random.uniform(0, TEN_MINUTES), habit(phone))

    stage.play()

    assert unbothered(stage)
    assert len(stage.sender.sent) == 300


def test_5000_people_behind_one_carrier_address_have_a_day_like_any_other(stage: Stage) -> None:
    stage.tick = 30
    carrier = Crowd(stage, CARRIER)
    habits = {carrier.log_in: 0.85, carrier.mistype_once: 0.05, carrier.walk_away: 0.1}
    for phone in carrier.phones(5000, prefixes=200):
        in_the_afternoon = carrier.random.gauss(14 * 3600, 5 * 3600)
        at = min(max(in_the_afternoon, 0), DAY)
        stage.tell(at, carrier.one_of(habits)(phone))

    stage.play()

    assert unbothered(stage)
    assert len(stage.sender.sent) == 5000
    assert 4400 <= len(stage.verified) <= 4600  # 90 %
