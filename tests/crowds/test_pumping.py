"""The guard with the same settings as for normal users, against pumping."""

from __future__ import annotations

from random import Random  # noqa: TID251 - nothing secret: the same numbers every time

from crowds.people import Crowd
from support.service_on_redis import Simulation

from otp_service.domain.errors import ChallengeRequired, DestinationBlocked

PUMPED = 1_000
ADDRESSES = 50


def pump(simulation: Simulation, every: float) -> None:
    """Request SMS to a thousand numbers of one prefix, from fifty addresses; verify none."""
    random = Random(13)  # noqa: S311 - as above
    crowds = [Crowd(simulation, f"198.18.0.{number}", random) for number in range(1, ADDRESSES + 1)]
    for place, phone in enumerate(crowds[0].phones(PUMPED, prefixes=1)):
        simulation.schedule(place * every, crowds[place % ADDRESSES].walk_away(phone))
    simulation.run_all()


def test_a13_pumping_for_ten_minutes_gets_less_than_30_sms(simulation: Simulation) -> None:
    pump(simulation, every=0.6)

    assert len(simulation.sender.sent) < 30
    assert len(simulation.refusals) == PUMPED - len(simulation.sender.sent)
    assert {type(refusal) for refusal in simulation.refusals} <= {ChallengeRequired, DestinationBlocked}


def test_a13_pumping_all_day_gets_less_than_30_sms(simulation: Simulation) -> None:
    pump(simulation, every=80)

    assert len(simulation.sender.sent) < 30


def test_a13_pumping_does_not_affect_an_office(simulation: Simulation) -> None:
    """The office has its own prefixes, address and verified codes."""
    office = Crowd(simulation, "203.0.113.7")
    for phone in office.phones(300, prefixes=40):
        simulation.schedule(office.random.uniform(0, 600), office.log_in(phone))

    pump(simulation, every=0.6)

    assert len(simulation.verified) == 300
    assert len(simulation.sender.sent) < 300 + 30
