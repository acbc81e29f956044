"""Suspicion: what asks for a risk challenge, what a solution is worth, and what the guard does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import fakes
from support.fakes import SHOP, House

from otp_service.domain.errors import ChallengeRequired, CooldownActive, DestinationBlocked
from otp_service.domain.phone import PhoneRules
from otp_service.domain.policy import CONVERSION_SCOPES, AccessList, AccessLists, PumpingGuardMode, RiskPolicy
from otp_service.domain.risk import ChallengeSubject, ConversionState, ConversionStats
from otp_service.services.verification import SendOutcome

PHONE, ADDRESS = "+8613900001234", "203.0.113.7"
ENFORCED = RiskPolicy(pumping_guard_mode=PumpingGuardMode.ENFORCE)
OFF = RiskPolicy(pumping_guard_mode=PumpingGuardMode.OFF)


@pytest.fixture
def house() -> House:
    return fakes.house()


def request(house: House, **more: object) -> SendOutcome:
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


def reading(kind: str, level: int) -> ConversionStats:
    return ConversionStats(kind, level, unverified=30, sent=40, verified=10)


# ── what is suspicious ──


def test_nothing_suspicious_sends(house: House) -> None:
    request(house)

    assert len(house.sender.sent) == 1
    assert house.challenges.issued == []


def test_suspicious_address_is_asked(house: House) -> None:
    house.store.suspicions = ("address_sends_per_hour",)

    assert asked(house) == 1
    tag = house.keyring.phone_hash(PHONE)
    assert house.challenges.issued == [(ChallengeSubject("shop", tag), 1)]


def test_slow_lane_asks_who_has_a_browser(house: House) -> None:
    house.store.is_slow = True

    assert asked(house, is_public=True) == 1


def test_slow_lane_asks_no_backend_for_what_others_did(house: House) -> None:
    house.store.is_slow = True

    assert request(house).dispatched


@pytest.mark.parametrize("who", [{"is_public": True}, {"accepts_challenge": True}], ids=str)
@pytest.mark.parametrize("level", [1, 2])
def test_too_many_wrong_codes_everywhere_ask_who_has_a_browser(
    house: House, level: int, who: dict[str, object]
) -> None:
    house.ledger.level = level
    house.store.known.add(house.keyring.phone_hash(PHONE))

    assert asked(house, **who) == level


@pytest.mark.parametrize("level", [1, 2])
def test_too_many_wrong_codes_everywhere_stop_no_backend(house: House, level: int) -> None:
    house.ledger.level = level
    sent = request(house)
    house.clock.advance(60)

    house.service.resend(SHOP, PHONE, sent.verification_id, client_ip=ADDRESS)
    assert len(house.sender.sent) == 2


def test_too_many_wrong_codes_everywhere_ask_a_browser_before_a_resend_too(house: House) -> None:
    vid = request(house, is_public=True).verification_id
    house.clock.advance(60)
    house.ledger.level = 1

    for who in ({"is_public": True}, {"accepts_challenge": True}):
        with pytest.raises(ChallengeRequired):
            house.service.resend(SHOP, PHONE, vid, client_ip=ADDRESS, **who)


def test_backend_that_is_asked_for_another_reason_is_asked_for_an_easy_challenge(house: House) -> None:
    house.ledger.level = 2
    house.store.suspicions = ("address_sends_per_hour",)

    assert asked(house) == 1


def test_why_is_an_event_without_the_number(house: House) -> None:
    house.store.suspicions = ("address_sends_per_hour",)
    house.store.is_slow = True
    house.ledger.level = 1
    asked(house, is_public=True)

    (event,) = house.events.of("challenge_required")
    assert event["reasons"] == ["address_sends_per_hour", "phone_slow_lane", "service_wrong_codes"]
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

    assert asked(house, risk_solution="1:abc", is_public=True) == 2
    request(house, risk_solution="2:def", is_public=True)


def test_wrong_solution_is_no_solution_and_touches_no_key(house: House) -> None:
    house.store.suspicions = ("address_sends_per_hour",)

    assert asked(house, risk_solution="garbage") == 1
    assert house.store.knocks[-1].solved_challenge_id == ""


def test_solution_lifts_no_limit(house: House) -> None:
    request(house)

    with pytest.raises(CooldownActive):
        request(house, risk_solution="2:abc")


def test_resend_is_asked_too(house: House) -> None:
    vid = request(house).verification_id
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
    request(silent, risk_solution="1:abc", is_public=True)

    assert len(silent.sender.sent) == 1
    assert silent.store.knocks[-1].challenges_disabled
    with pytest.raises(CooldownActive):
        request(silent, is_public=True)


# ── the guard ──


def test_guard_asks_and_then_blocks() -> None:
    house = fakes.house(risk=ENFORCED)
    house.store.guards = (reading("prefix", 1),)
    first = asked(house)
    house.store.guards = (reading("prefix", 1), reading("country", 2))

    assert first == 1
    with pytest.raises(DestinationBlocked):
        request(house, risk_solution="2:abc")
    (event,) = house.events.of("pumping_guard_blocked")
    assert event["reasons"] == ["guard_country"]
    assert house.sender.sent == []


def suspect(kind: str = "prefix") -> ConversionStats:
    return ConversionStats(kind, 0, unverified=2, sent=4, verified=0, is_suspect=True)


def broad(level: int, kind: str = "country") -> ConversionStats:
    return ConversionStats(kind, level, unverified=30, sent=40, verified=10, is_broad=True)


@pytest.mark.parametrize(
    ("readings", "reasons"),
    [
        ((broad(0), suspect()), []),
        ((broad(1), reading("prefix", 0)), []),
        ((broad(1), suspect()), ["guard_prefix"]),
        ((broad(1, "client"), suspect("address")), ["guard_address"]),
        ((broad(2), ConversionStats("prefix", 0, unverified=1, sent=1, verified=0)), []),
        ((broad(2), ConversionStats("prefix", 0, unverified=1, sent=2, verified=0)), ["guard_prefix"]),
        ((broad(2), ConversionStats("prefix", 0, unverified=1, sent=3, verified=1)), []),
        ((broad(3), ConversionStats("prefix", 0, unverified=1, sent=1, verified=0)), ["guard_country"]),
    ],
    ids=[
        "suspect in peace",
        "sound while strict",
        "suspect while strict",
        "suspect address of a strict client",
        "first while stricter",
        "second while stricter",
        "verified while stricter",
        "everybody",
    ],
)
def test_broad_scopes_make_the_narrow_ones_strict(
    readings: tuple[ConversionStats, ...], reasons: list[str]
) -> None:
    house = fakes.house(risk=ENFORCED)
    house.store.guards = readings
    if reasons:
        asked(house)
    else:
        request(house)

    assert [told["reasons"] for told in house.events.of("challenge_required")] == (
        [reasons] if reasons else []
    )


def test_broad_scope_blocks_nobody() -> None:
    house = fakes.house(risk=ENFORCED)
    house.store.guards = (broad(3), broad(3, "client"), suspect())

    asked(house)
    request(house, risk_solution="1:abc")
    assert len(house.sender.sent) == 1


def test_prefix_that_has_tripped_is_told_to_the_broad_scopes_once() -> None:
    house = fakes.house(risk=ENFORCED)
    house.store.guards = (reading("prefix", 1),)
    asked(house)
    first = len(house.ledger.looked_at)
    house.store.guards = (replace(reading("prefix", 1), state=ConversionState.TRIPPED),)
    asked(house)

    assert (first, len(house.ledger.looked_at)) == (4, 4)


def test_allowed_phone_counts_in_no_scope() -> None:
    house = fakes.house(risk=ENFORCED, lists=AccessLists(allow=AccessList(prefixes=("+86139",))))
    sent = request(house)
    house.service.verify(SHOP, PHONE, sent.verification_id, house.sender.last_code)

    ((*_, scopes),) = house.ledger.approvals
    assert (house.ledger.scopes, scopes) == ([], ())


def test_known_phone_passes_the_guard() -> None:
    house = fakes.house(risk=ENFORCED)
    house.store.guards = (reading("prefix", 2),)
    house.store.known.add(house.keyring.phone_hash(PHONE))

    request(house)
    assert len(house.sender.sent) == 1


def test_vouched_phone_passes_the_guard() -> None:
    house = fakes.house(risk=ENFORCED)
    house.store.guards = (reading("prefix", 2),)

    request(house, known_phone=True)
    assert len(house.sender.sent) == 1


@pytest.mark.parametrize(("level", "refusal"), [(1, ChallengeRequired), (2, DestinationBlocked)])
@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
def test_a41_guard_that_has_tripped_does_not_tell_a_browser_which_phones_are_known(
    level: int,
    refusal: type[Exception],
    is_known: bool,  # noqa: FBT001
) -> None:
    house = fakes.house(risk=ENFORCED)
    house.store.guards = (reading("prefix", level),)
    if is_known:
        house.store.known.add(house.keyring.phone_hash(PHONE))

    with pytest.raises(refusal):
        request(house, is_public=True)
    assert house.sender.sent == []


def test_guard_that_is_off_counts_no_approval_either() -> None:
    house = fakes.house(risk=OFF)
    sent = request(house)

    house.service.verify(SHOP, PHONE, sent.verification_id, house.sender.last_code)

    (approval,) = house.ledger.approvals
    assert approval[-1] == ()


def test_enforced_guard_counts_in_the_first_flush_and_the_watching_one_in_the_ledger() -> None:
    enforced, watching, off = fakes.house(risk=ENFORCED), fakes.house(), fakes.house(risk=OFF)
    for house in (enforced, watching, off):
        request(house)

    assert [scope.kind for scope in enforced.store.knocks[-1].conversion_scopes] == list(CONVERSION_SCOPES)
    assert [scope.kind for scope in enforced.ledger.scopes] == list(CONVERSION_SCOPES)
    assert (enforced.ledger.counted, watching.ledger.counted) == ([True], [False])
    assert [scope.kind for scope in watching.ledger.scopes] == list(CONVERSION_SCOPES)
    assert watching.store.knocks[-1].conversion_scopes == ()
    assert off.ledger.scopes == []
    assert off.store.knocks[-1].conversion_scopes == ()


def test_scopes_show_neither_prefix_nor_address() -> None:
    house = fakes.house(risk=ENFORCED)
    request(house)

    names = " ".join(scope.name for scope in house.store.knocks[-1].conversion_scopes)
    assert "country:CN" in names
    assert "1390000" not in names
    assert ADDRESS not in names


@pytest.mark.parametrize(
    "phones",
    [
        ("+8613900001234", "+8613900009999", "+8613900011234"),
        ("+85251231234", "+85251239999", "+85251241234"),
    ],
    ids=["eleven digits", "eight digits"],
)
def test_neighbours_share_a_prefix_and_others_do_not(phones: tuple[str, ...]) -> None:
    house = fakes.house(risk=ENFORCED, phones=PhoneRules(countries=frozenset({"CN", "HK"})))
    for phone in phones:
        house.service.request(SHOP, phone, purpose="login")

    first, second, third = (knock.conversion_scopes[1].name for knock in house.store.knocks)
    assert first == second != third


def test_without_an_address_its_limits_and_its_scope_are_skipped() -> None:
    house = fakes.house(risk=ENFORCED)
    request(house, client_ip=None)

    knock = house.store.knocks[-1]
    assert knock.ip_quota is None
    assert [scope.kind for scope in knock.conversion_scopes] == ["country", "prefix", "client"]


def test_approval_is_told_to_every_scope(house: House) -> None:
    vid = request(house).verification_id
    wrong = "000000" if house.sender.last_code != "000000" else "000001"
    with pytest.raises(Exception, match="wrong"):
        house.service.verify(SHOP, PHONE, vid, wrong, client_ip=ADDRESS)
    house.service.verify(SHOP, PHONE, vid, house.sender.last_code, client_ip=ADDRESS)

    ((tag, wrong_codes, address, scopes),) = house.ledger.approvals
    assert (tag, wrong_codes) == (house.keyring.phone_hash(PHONE), 1)
    assert address
    assert [scope.kind for scope in scopes] == list(CONVERSION_SCOPES)
    assert house.ledger.wrong == 1


def test_limits_of_a_kind_are_those_of_the_policy() -> None:
    guards = {
        kind: replace(limits, min_unverified=n)
        for n, (kind, limits) in enumerate(ENFORCED.conversion_limits.items(), 1)
    }
    house = fakes.house(risk=replace(ENFORCED, conversion_limits=guards))
    request(house)

    assert [scope.limits.min_unverified for scope in house.store.knocks[-1].conversion_scopes] == [1, 2, 3, 4]
