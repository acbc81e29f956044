"""Crowds behind one address, with an enforced pumping guard: all users get codes without a challenge."""

from __future__ import annotations

from crowds.people import Crowd
from support.service_on_redis import Simulation

SHARED_IP, CARRIER = "203.0.113.7", "198.51.100.8"
NINE = 9 * 3600
TEN_MINUTES = 600
DAY = 86_400


def no_user_was_refused(simulation: Simulation) -> bool:
    """Return whether the service neither refused nor challenged any user."""
    return simulation.refusals == [] and simulation.challenges.issued == []


def test_office_of_300_logs_in_within_ten_minutes(simulation: Simulation) -> None:
    simulation.pass_time(NINE)
    office = Crowd(simulation, SHARED_IP)
    habits = {
        office.log_in: 0.68,
        office.mistype_once: 0.05,
        office.mistype_twice: 0.02,
        office.click_repeatedly: 0.03,
        office.lose_two_sms: 0.02,
        office.walk_away: 0.2,
    }
    for phone in office.phones(300, prefixes=40):
        simulation.schedule(office.random.uniform(0, TEN_MINUTES), office.choose_behavior(habits)(phone))

    simulation.run_all()

    assert no_user_was_refused(simulation)
    assert 225 <= len(simulation.verified) <= 255  # 80 %, by chance a few more or less


def test_office_with_one_number_prefix_is_not_pumping(simulation: Simulation) -> None:
    """A hundred phones with one prefix: verified SMS soon outweigh unverified ones."""
    simulation.pass_time(NINE)
    office = Crowd(simulation, SHARED_IP)
    for phone in office.phones(100, prefixes=1):
        habit = office.choose_behavior({office.log_in: 0.8, office.walk_away: 0.2})
        simulation.schedule(office.random.uniform(0, TEN_MINUTES), habit(phone))

    simulation.run_all()

    assert no_user_was_refused(simulation)
    assert len(simulation.sender.sent) == 100


def test_office_of_impatient_users_is_not_pumping(simulation: Simulation) -> None:
    """A request that is refused for its cooldown sends no SMS and does not count as unverified."""
    simulation.pass_time(NINE)
    office = Crowd(simulation, SHARED_IP)
    for phone in office.phones(300, prefixes=40):
        habit = office.choose_behavior(
            {office.click_repeatedly: 0.4, office.log_in: 0.4, office.walk_away: 0.2}
        )
        simulation.schedule(office.random.uniform(0, TEN_MINUTES), habit(phone))

    simulation.run_all()

    assert no_user_was_refused(simulation)
    assert len(simulation.sender.sent) == 300


def test_2000_users_behind_one_carrier_address_are_served_all_day(simulation: Simulation) -> None:
    simulation.tick = 30
    carrier = Crowd(simulation, CARRIER)
    habits = {carrier.log_in: 0.85, carrier.mistype_once: 0.05, carrier.walk_away: 0.1}
    for phone in carrier.phones(2000, prefixes=200):
        start = carrier.random.gauss(14 * 3600, 5 * 3600)
        at = min(max(start, 0), DAY)  # most of them in the afternoon
        simulation.schedule(at, carrier.choose_behavior(habits)(phone))

    simulation.run_all()

    assert no_user_was_refused(simulation)
    assert len(simulation.sender.sent) == 2000
    assert 1740 <= len(simulation.verified) <= 1860  # 90 %
