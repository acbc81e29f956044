"""Suspicion: what asks for a risk challenge, what a solution is worth, and what the guard does."""

from __future__ import annotations

from dataclasses import replace

import fakes
import pytest
from fakes import SHOP, House

from otp_service.errors import ChallengeRequired, CooldownActive, DestinationBlocked
from otp_service.policy import GUARDED, GuardMode, RiskPolicy
from otp_service.ports import GuardReading, RiskBinding
from otp_service.service import Sent

PHONE, ADDRESS = "+8613900001234", "203.0.113.7"
ENFORCED = RiskPolicy(guard_mode=GuardMode.ENFORCE)
OFF = RiskPolicy(guard_mode=GuardMode.OFF)


@pytest.fixture
def house() -> House:
    return fakes.house()


def request(house: House, **more: object) -> Sent:
    facts: dict[str, object] = {"purpose": "login", "client_ip": ADDRESS, **more}
    return house.service.request(SHOP, PHONE, **facts)  # type: ignore[arg-type]


def asked(house: House, **more: object) -> int:
    """Return the level of the challenge that is asked for."""
    with pytest.raises(ChallengeRequired) as required:
        request(house, **more)
    assert house.sender.sent == []
    level = required.value.challenge["level"]
    assert isinstance(level, int)
    return level


def reading(kind: str, level: int) -> GuardReading:
    return GuardReading(kind, level, unverified=30, sent=40, verified=10)


# ── what is suspicious ──


def test_nothing_suspicious_sends(house: House) -> None:
    request(house)

    assert len(house.sender.sent) == 1
    assert house.challenges.issued == []


def test_suspicious_address_is_asked(house: House) -> None:
    house.store.suspicions = ("address_sends_per_hour",)

    assert asked(house) == 1
    tag = house.keyring.phone_tag(PHONE)
    assert house.challenges.issued == [(RiskBinding("shop", tag), 1)]


def test_slow_lane_is_asked(house: House) -> None:
    house.store.is_slow = True

    assert asked(house) == 1


@pytest.mark.parametrize("level", [1, 2])
def test_too_many_wrong_codes_everywhere_ask_everybody(house: House, level: int) -> None:
    house.ledger.level = level
    house.store.known.add(house.keyring.phone_tag(PHONE))

    assert asked(house) == level


def test_why_is_an_event_without_the_number(house: House) -> None:
    house.store.suspicions = ("address_sends_per_hour",)
    house.store.is_slow = True
    house.ledger.level = 1
    asked(house)

    (event,) = house.events.of("challenge_required")
    assert event["limits"] == ["address_sends_per_hour", "phone_slow_lane", "service_wrong_codes"]
    assert PHONE[3:] not in str(event)
    assert ADDRESS not in str(event)


# ── solutions ──


def test_solution_passes_once(house: House) -> None:
    house.store.suspicions = ("address_sends_per_hour",)
    request(house, risk_solution="1:abc")
    house.clock.advance(60)

    with pytest.raises(ChallengeRequired):
        request(house, risk_solution="1:abc")
    assert len(house.sender.sent) == 1


def test_used_solution_is_suspicious_in_itself(house: House) -> None:
    """The address's script is told of a solution before anybody knows whether it is fresh."""
    house.store.solved.add("abc")

    assert asked(house, risk_solution="1:abc") == 1


def test_easy_solution_is_not_enough_for_a_hard_challenge(house: House) -> None:
    house.ledger.level = 2

    assert asked(house, risk_solution="1:abc") == 2
    request(house, risk_solution="2:def")


def test_wrong_solution_is_no_solution_and_touches_no_key(house: House) -> None:
    house.store.suspicions = ("address_sends_per_hour",)

    assert asked(house, risk_solution="garbage") == 1
    assert house.store.knocks[-1].solution == ""


def test_solution_lifts_no_limit(house: House) -> None:
    request(house)

    with pytest.raises(CooldownActive):
        request(house, risk_solution="2:abc")


def test_resend_is_asked_too(house: House) -> None:
    vid = request(house).verification.verification_id
    house.clock.advance(60)
    house.store.suspicions = ("address_sends_per_hour",)

    with pytest.raises(ChallengeRequired):
        house.service.resend(SHOP, PHONE, vid, client_ip=ADDRESS)
    house.service.resend(SHOP, PHONE, vid, client_ip=ADDRESS, risk_solution="1:abc")
    assert len(house.sender.sent) == 2


def test_without_challenges_nobody_is_asked_and_refusals_stand(house: House) -> None:
    silent = fakes.house(challenges=None)
    silent.store.suspicions = ("address_sends_per_hour",)
    silent.ledger.level = 2
    request(silent, risk_solution="1:abc")

    assert len(silent.sender.sent) == 1
    assert silent.store.knocks[-1].unchallenged
    with pytest.raises(CooldownActive):
        request(silent)


# ── the guard ──


def test_guard_asks_and_then_blocks() -> None:
    house = fakes.house(risk=ENFORCED)
    house.store.guards = (reading("prefix", 1),)
    first = asked(house)
    house.store.guards = (reading("prefix", 1), reading("country", 2))

    assert first == 1
    with pytest.raises(DestinationBlocked):
        request(house, risk_solution="2:abc")
    (event,) = house.events.of("guard_blocked")
    assert event["limits"] == ["guard_country"]
    assert house.sender.sent == []


def test_known_phone_passes_the_guard() -> None:
    house = fakes.house(risk=ENFORCED)
    house.store.guards = (reading("prefix", 2),)
    house.store.known.add(house.keyring.phone_tag(PHONE))

    request(house)
    assert len(house.sender.sent) == 1


def test_vouched_phone_passes_the_guard() -> None:
    house = fakes.house(risk=ENFORCED)
    house.store.guards = (reading("prefix", 2),)

    request(house, known_phone=True)
    assert len(house.sender.sent) == 1


def test_guard_that_is_off_counts_no_approval_either() -> None:
    house = fakes.house(risk=OFF)
    sent = request(house)

    house.service.verify(SHOP, PHONE, sent.verification.verification_id, house.sender.last_code)

    (approval,) = house.ledger.approvals
    assert approval[-1] == ()


def test_enforced_guard_counts_in_the_first_flush_and_the_watching_one_in_the_ledger() -> None:
    enforced, watching, off = fakes.house(risk=ENFORCED), fakes.house(), fakes.house(risk=OFF)
    for house in (enforced, watching, off):
        request(house)

    assert [scope.kind for scope in enforced.store.knocks[-1].guards] == list(GUARDED)
    assert enforced.ledger.scopes == []
    assert [scope.kind for scope in watching.ledger.scopes] == list(GUARDED)
    assert watching.store.knocks[-1].guards == ()
    assert off.ledger.scopes == []
    assert off.store.knocks[-1].guards == ()


def test_scopes_show_neither_prefix_nor_address() -> None:
    house = fakes.house(risk=ENFORCED)
    request(house)

    names = " ".join(scope.name for scope in house.store.knocks[-1].guards)
    assert "country:CN" in names
    assert "1390000" not in names
    assert ADDRESS not in names


def test_neighbours_share_a_prefix_and_others_do_not() -> None:
    house = fakes.house(risk=ENFORCED)
    for phone in ("+8613900001234", "+8613900009999", "+8613900011234"):
        house.service.request(SHOP, phone, purpose="login")

    first, second, third = (knock.guards[1].name for knock in house.store.knocks)
    assert first == second != third


def test_without_an_address_its_limits_and_its_scope_are_skipped() -> None:
    house = fakes.house(risk=ENFORCED)
    request(house, client_ip=None)

    knock = house.store.knocks[-1]
    assert knock.address is None
    assert [scope.kind for scope in knock.guards] == ["country", "prefix", "client"]


def test_approval_is_told_to_every_scope(house: House) -> None:
    vid = request(house).verification.verification_id
    wrong = "000000" if house.sender.last_code != "000000" else "000001"
    with pytest.raises(Exception, match="wrong"):
        house.service.verify(SHOP, PHONE, vid, wrong, client_ip=ADDRESS)
    house.service.verify(SHOP, PHONE, vid, house.sender.last_code, client_ip=ADDRESS)

    ((tag, wrong_codes, address, scopes),) = house.ledger.approvals
    assert (tag, wrong_codes) == (house.keyring.phone_tag(PHONE), 1)
    assert address
    assert [scope.kind for scope in scopes] == list(GUARDED)
    assert house.ledger.wrong == 1
    assert len(house.ledger.attempts) == 2


def test_limits_of_a_kind_are_those_of_the_policy() -> None:
    guards = {kind: replace(limits, least=n) for n, (kind, limits) in enumerate(ENFORCED.guards.items(), 1)}
    house = fakes.house(risk=replace(ENFORCED, guards=guards))
    request(house)

    assert [scope.limits.least for scope in house.store.knocks[-1].guards] == [1, 2, 3, 4]
