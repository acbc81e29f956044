"""Suspicion: what asks for a risk challenge, what a solution is worth, and what the guard does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import fakes
from support.fakes import SHOP, Harness

from otp_service.domain.errors import ChallengeRequired, CooldownActive, DestinationBlocked
from otp_service.domain.phone import PhoneRules
from otp_service.domain.policy import CONVERSION_SCOPES, AccessList, AccessLists, PumpingGuardMode, RiskPolicy
from otp_service.domain.risk import ChallengeSubject, ConversionState, ConversionStats
from otp_service.services.verification import SendOutcome

PHONE, ADDRESS = "+8613900001234", "203.0.113.7"
ENFORCED = RiskPolicy(pumping_guard_mode=PumpingGuardMode.ENFORCE)
OFF = RiskPolicy(pumping_guard_mode=PumpingGuardMode.OFF)


@pytest.fixture
def harness() -> Harness:
    return fakes.harness()


def request(harness: Harness, **more: object) -> SendOutcome:
    facts: dict[str, object] = {"purpose": "login", "client_ip": ADDRESS, **more}
    return harness.service.request(SHOP, PHONE, **facts)  # type: ignore[arg-type]


def asked(harness: Harness, **more: object) -> int:
    """Return the level of the challenge that is asked for."""
    with pytest.raises(ChallengeRequired) as required:
        request(harness, **more)
    assert harness.sender.sent == []
    level = required.value.challenge["level"]
    assert isinstance(level, int)
    return level


def reading(kind: str, level: int) -> ConversionStats:
    return ConversionStats(kind, level, unverified=30, sent=40, verified=10)


# ── what is suspicious ──


def test_nothing_suspicious_sends(harness: Harness) -> None:
    request(harness)

    assert len(harness.sender.sent) == 1
    assert harness.challenges.issued == []


def test_suspicious_address_is_asked(harness: Harness) -> None:
    harness.store.suspicions = ("address_sends_per_hour",)

    assert asked(harness) == 1
    tag = harness.keyring.phone_hash(PHONE)
    assert harness.challenges.issued == [(ChallengeSubject("shop", tag), 1)]


def test_slow_lane_asks_who_has_a_browser(harness: Harness) -> None:
    harness.store.is_slow = True

    assert asked(harness, is_public=True) == 1


def test_slow_lane_asks_no_backend_for_what_others_did(harness: Harness) -> None:
    harness.store.is_slow = True

    assert request(harness).dispatched


@pytest.mark.parametrize("who", [{"is_public": True}, {"accepts_challenge": True}], ids=str)
@pytest.mark.parametrize("level", [1, 2])
def test_too_many_wrong_codes_everywhere_ask_who_has_a_browser(
    harness: Harness, level: int, who: dict[str, object]
) -> None:
    harness.usage_counters.level = level
    harness.store.known.add(harness.keyring.phone_hash(PHONE))

    assert asked(harness, **who) == level


@pytest.mark.parametrize("level", [1, 2])
def test_too_many_wrong_codes_everywhere_stop_no_backend(harness: Harness, level: int) -> None:
    harness.usage_counters.level = level
    sent = request(harness)
    harness.clock.advance(60)

    harness.service.resend(SHOP, PHONE, sent.verification_id, client_ip=ADDRESS)
    assert len(harness.sender.sent) == 2


def test_too_many_wrong_codes_everywhere_ask_a_browser_before_a_resend_too(harness: Harness) -> None:
    vid = request(harness, is_public=True).verification_id
    harness.clock.advance(60)
    harness.usage_counters.level = 1

    for who in ({"is_public": True}, {"accepts_challenge": True}):
        with pytest.raises(ChallengeRequired):
            harness.service.resend(SHOP, PHONE, vid, client_ip=ADDRESS, **who)


def test_backend_that_is_asked_for_another_reason_is_asked_for_an_easy_challenge(harness: Harness) -> None:
    harness.usage_counters.level = 2
    harness.store.suspicions = ("address_sends_per_hour",)

    assert asked(harness) == 1


def test_why_is_an_event_without_the_number(harness: Harness) -> None:
    harness.store.suspicions = ("address_sends_per_hour",)
    harness.store.is_slow = True
    harness.usage_counters.level = 1
    asked(harness, is_public=True)

    (event,) = harness.events.of("challenge_required")
    assert event["reasons"] == ["address_sends_per_hour", "phone_slow_lane", "service_wrong_codes"]
    assert PHONE[3:] not in str(event)
    assert ADDRESS not in str(event)


# ── solutions ──


def test_solution_passes_once(harness: Harness) -> None:
    harness.store.suspicions = ("address_sends_per_hour",)
    request(harness, risk_solution="1:abc")
    harness.clock.advance(60)

    with pytest.raises(ChallengeRequired):
        request(harness, risk_solution="1:abc")
    assert len(harness.sender.sent) == 1


def test_used_solution_is_suspicious_in_itself(harness: Harness) -> None:
    """The address's script is told of a solution before anybody knows whether it is fresh."""
    harness.store.solved.add("abc")

    assert asked(harness, risk_solution="1:abc") == 1


def test_easy_solution_is_not_enough_for_a_hard_challenge(harness: Harness) -> None:
    harness.usage_counters.level = 2

    assert asked(harness, risk_solution="1:abc", is_public=True) == 2
    request(harness, risk_solution="2:def", is_public=True)


def test_wrong_solution_is_no_solution_and_touches_no_key(harness: Harness) -> None:
    harness.store.suspicions = ("address_sends_per_hour",)

    assert asked(harness, risk_solution="garbage") == 1
    assert harness.store.prechecks[-1].solved_challenge_id == ""


def test_solution_lifts_no_limit(harness: Harness) -> None:
    request(harness)

    with pytest.raises(CooldownActive):
        request(harness, risk_solution="2:abc")


def test_resend_is_asked_too(harness: Harness) -> None:
    vid = request(harness).verification_id
    harness.clock.advance(60)
    harness.store.suspicions = ("address_sends_per_hour",)

    with pytest.raises(ChallengeRequired):
        harness.service.resend(SHOP, PHONE, vid, client_ip=ADDRESS)
    harness.service.resend(SHOP, PHONE, vid, client_ip=ADDRESS, risk_solution="1:abc")
    assert len(harness.sender.sent) == 2


def test_without_challenges_nobody_is_asked_and_refusals_stand(harness: Harness) -> None:
    silent = fakes.harness(challenges=None)
    silent.store.suspicions = ("address_sends_per_hour",)
    silent.usage_counters.level = 2
    request(silent, risk_solution="1:abc", is_public=True)

    assert len(silent.sender.sent) == 1
    assert silent.store.prechecks[-1].challenges_disabled
    with pytest.raises(CooldownActive):
        request(silent, is_public=True)


# ── the guard ──


def test_guard_asks_and_then_blocks() -> None:
    harness = fakes.harness(risk=ENFORCED)
    harness.store.guards = (reading("prefix", 1),)
    first = asked(harness)
    harness.store.guards = (reading("prefix", 1), reading("country", 2))

    assert first == 1
    with pytest.raises(DestinationBlocked):
        request(harness, risk_solution="2:abc")
    (event,) = harness.events.of("pumping_guard_blocked")
    assert event["reasons"] == ["guard_country"]
    assert harness.sender.sent == []


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
    harness = fakes.harness(risk=ENFORCED)
    harness.store.guards = readings
    if reasons:
        asked(harness)
    else:
        request(harness)

    assert [told["reasons"] for told in harness.events.of("challenge_required")] == (
        [reasons] if reasons else []
    )


def test_broad_scope_blocks_nobody() -> None:
    harness = fakes.harness(risk=ENFORCED)
    harness.store.guards = (broad(3), broad(3, "client"), suspect())

    asked(harness)
    request(harness, risk_solution="1:abc")
    assert len(harness.sender.sent) == 1


def test_prefix_that_has_tripped_is_told_to_the_broad_scopes_once() -> None:
    harness = fakes.harness(risk=ENFORCED)
    harness.store.guards = (reading("prefix", 1),)
    asked(harness)
    first = len(harness.usage_counters.looked_at)
    harness.store.guards = (replace(reading("prefix", 1), state=ConversionState.TRIPPED),)
    asked(harness)

    assert (first, len(harness.usage_counters.looked_at)) == (4, 4)


def test_allowed_phone_counts_in_no_scope() -> None:
    harness = fakes.harness(risk=ENFORCED, lists=AccessLists(allow=AccessList(prefixes=("+86139",))))
    sent = request(harness)
    harness.service.verify(SHOP, PHONE, sent.verification_id, harness.sender.last_code)

    ((*_, scopes),) = harness.usage_counters.approvals
    assert (harness.usage_counters.scopes, scopes) == ([], ())


def test_known_phone_passes_the_guard() -> None:
    harness = fakes.harness(risk=ENFORCED)
    harness.store.guards = (reading("prefix", 2),)
    harness.store.known.add(harness.keyring.phone_hash(PHONE))

    request(harness)
    assert len(harness.sender.sent) == 1


def test_vouched_phone_passes_the_guard() -> None:
    harness = fakes.harness(risk=ENFORCED)
    harness.store.guards = (reading("prefix", 2),)

    request(harness, known_phone=True)
    assert len(harness.sender.sent) == 1


@pytest.mark.parametrize(("level", "refusal"), [(1, ChallengeRequired), (2, DestinationBlocked)])
@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
def test_a41_guard_that_has_tripped_does_not_tell_a_browser_which_phones_are_known(
    level: int,
    refusal: type[Exception],
    is_known: bool,  # noqa: FBT001
) -> None:
    harness = fakes.harness(risk=ENFORCED)
    harness.store.guards = (reading("prefix", level),)
    if is_known:
        harness.store.known.add(harness.keyring.phone_hash(PHONE))

    with pytest.raises(refusal):
        request(harness, is_public=True)
    assert harness.sender.sent == []


def test_guard_that_is_off_counts_no_approval_either() -> None:
    harness = fakes.harness(risk=OFF)
    sent = request(harness)

    harness.service.verify(SHOP, PHONE, sent.verification_id, harness.sender.last_code)

    (approval,) = harness.usage_counters.approvals
    assert approval[-1] == ()


def test_enforced_guard_counts_in_the_first_flush_and_the_watching_one_in_the_ledger() -> None:
    enforced, watching, off = fakes.harness(risk=ENFORCED), fakes.harness(), fakes.harness(risk=OFF)
    for harness in (enforced, watching, off):
        request(harness)

    assert [scope.kind for scope in enforced.store.prechecks[-1].conversion_scopes] == list(CONVERSION_SCOPES)
    assert [scope.kind for scope in enforced.usage_counters.scopes] == list(CONVERSION_SCOPES)
    assert (enforced.usage_counters.counted, watching.usage_counters.counted) == ([True], [False])
    assert [scope.kind for scope in watching.usage_counters.scopes] == list(CONVERSION_SCOPES)
    assert watching.store.prechecks[-1].conversion_scopes == ()
    assert off.usage_counters.scopes == []
    assert off.store.prechecks[-1].conversion_scopes == ()


def test_scopes_show_neither_prefix_nor_address() -> None:
    harness = fakes.harness(risk=ENFORCED)
    request(harness)

    names = " ".join(scope.name for scope in harness.store.prechecks[-1].conversion_scopes)
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
    harness = fakes.harness(risk=ENFORCED, phones=PhoneRules(countries=frozenset({"CN", "HK"})))
    for phone in phones:
        harness.service.request(SHOP, phone, purpose="login")

    first, second, third = (
        run_precheck.conversion_scopes[1].name for run_precheck in harness.store.prechecks
    )
    assert first == second != third


def test_without_an_address_its_limits_and_its_scope_are_skipped() -> None:
    harness = fakes.harness(risk=ENFORCED)
    request(harness, client_ip=None)

    run_precheck = harness.store.prechecks[-1]
    assert run_precheck.ip_quota is None
    assert [scope.kind for scope in run_precheck.conversion_scopes] == ["country", "prefix", "client"]


def test_approval_is_told_to_every_scope(harness: Harness) -> None:
    vid = request(harness).verification_id
    wrong = "000000" if harness.sender.last_code != "000000" else "000001"
    with pytest.raises(Exception, match="wrong"):
        harness.service.verify(SHOP, PHONE, vid, wrong, client_ip=ADDRESS)
    harness.service.verify(SHOP, PHONE, vid, harness.sender.last_code, client_ip=ADDRESS)

    ((tag, wrong_codes, address, scopes),) = harness.usage_counters.approvals
    assert (tag, wrong_codes) == (harness.keyring.phone_hash(PHONE), 1)
    assert address
    assert [scope.kind for scope in scopes] == list(CONVERSION_SCOPES)
    assert harness.usage_counters.wrong == 1


def test_limits_of_a_kind_are_those_of_the_policy() -> None:
    guards = {
        kind: replace(limits, min_unverified=n)
        for n, (kind, limits) in enumerate(ENFORCED.conversion_limits.items(), 1)
    }
    harness = fakes.harness(risk=replace(ENFORCED, conversion_limits=guards))
    request(harness)

    assert [scope.limits.min_unverified for scope in harness.store.prechecks[-1].conversion_scopes] == [
        1,
        2,
        3,
        4,
    ]
