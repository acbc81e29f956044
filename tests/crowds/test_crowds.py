"""Crowds behind one address, with the guard enforced: all users get their codes without a challenge."""

from __future__ import annotations

from crowds.people import Crowd
from support.service_on_redis import Stage

SHARED_IP, CARRIER = "203.0.113.7", "198.51.100.8"
NINE = 9 * 3600
TEN_MINUTES = 600
DAY = 86_400


def all_were_served(stage: Stage) -> bool:
    """Return whether no user was refused or challenged."""
    return stage.refusals == [] and stage.challenges.issued == []


def test_office_of_300_logs_in_within_ten_minutes(stage: Stage) -> None:
    stage.pass_time(NINE)
    office = Crowd(stage, SHARED_IP)
    habits = {
        office.log_in: 0.68,
        office.mistype_once: 0.05,
        office.mistype_twice: 0.02,
        office.click_on: 0.03,
        office.lose_two_sms: 0.02,
        office.walk_away: 0.2,
    }
    for phone in office.phones(300, prefixes=40):
        stage.schedule(office.random.uniform(0, TEN_MINUTES), office.one_of(habits)(phone))

    stage.run_all()

    assert all_were_served(stage)
    assert 225 <= len(stage.verified) <= 255  # 80 %, by chance a few more or less


def test_office_with_one_number_prefix_is_not_pumping(stage: Stage) -> None:
    """A hundred phones with one prefix: verified SMS soon outweigh unverified ones."""
    stage.pass_time(NINE)
    office = Crowd(stage, SHARED_IP)
    for phone in office.phones(100, prefixes=1):
        habit = office.one_of({office.log_in: 0.8, office.walk_away: 0.2})
        stage.schedule(office.random.uniform(0, TEN_MINUTES), habit(phone))

    stage.run_all()

    assert all_were_served(stage)
    assert len(stage.sender.sent) == 100


def test_office_of_impatient_users_is_not_pumping(stage: Stage) -> None:
    """A request that is refused for its cooldown sends no SMS and does not count as unverified."""
    stage.pass_time(NINE)
    office = Crowd(stage, SHARED_IP)
    for phone in office.phones(300, prefixes=40):
        habit = office.one_of({office.click_on: 0.4, office.log_in: 0.4, office.walk_away: 0.2})
        stage.schedule(office.random.uniform(0, TEN_MINUTES), habit(phone))

    stage.run_all()

    assert all_were_served(stage)
    assert len(stage.sender.sent) == 300


def test_2000_users_behind_one_carrier_address_are_served_all_day(stage: Stage) -> None:
    stage.tick = 30
    carrier = Crowd(stage, CARRIER)
    habits = {carrier.log_in: 0.85, carrier.mistype_once: 0.05, carrier.walk_away: 0.1}
    for phone in carrier.phones(2000, prefixes=200):
        in_the_afternoon = carrier.random.gauss(14 * 3600, 5 * 3600)
        at = min(max(in_the_afternoon, 0), DAY)
        stage.schedule(at, carrier.one_of(habits)(phone))

    stage.run_all()

    assert all_were_served(stage)
    assert len(stage.sender.sent) == 2000
    assert 1740 <= len(stage.verified) <= 1860  # 90 %
