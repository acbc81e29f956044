"""Risk assessment: what requires a challenge, what a solution permits, and the pumping guard."""

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


def required_level(harness: Harness, **more: object) -> int:
    """Return the level of the required challenge."""
    with pytest.raises(ChallengeRequired) as required:
        request(harness, **more)
    assert harness.sender.sent == []
    level = required.value.challenge["level"]
    assert isinstance(level, int)
    return level


def reading(kind: str, level: int) -> ConversionStats:
    return ConversionStats(kind, level, unverified=30, sent=40, verified=10)


# ── what requires a challenge ──


def test_unsuspicious_request_sends(harness: Harness) -> None:
    request(harness)

    assert len(harness.sender.sent) == 1
    assert harness.challenges.issued == []


def test_suspicious_address_requires_a_challenge(harness: Harness) -> None:
    harness.store.risk_reasons = ("address_sends_per_hour",)

    assert required_level(harness) == 1
    phone_hash = harness.keyring.phone_hash(PHONE)
    assert harness.challenges.issued == [(ChallengeSubject("shop", phone_hash), 1)]


def test_restricted_phone_requires_a_challenge_from_browsers(harness: Harness) -> None:
    harness.store.is_restricted = True

    assert required_level(harness, is_public=True) == 1


def test_restricted_phone_requires_no_challenge_from_backends(harness: Harness) -> None:
    harness.store.is_restricted = True

    assert request(harness).dispatched


@pytest.mark.parametrize("who", [{"is_public": True}, {"accepts_challenge": True}], ids=str)
@pytest.mark.parametrize("level", [1, 2])
def test_wrong_code_alarm_requires_a_challenge_where_one_can_be_solved(
    harness: Harness, level: int, who: dict[str, object]
) -> None:
    harness.usage_counters.level = level
    harness.store.make_phone_known(harness.keyring.phone_hash(PHONE))

    assert required_level(harness, **who) == level


@pytest.mark.parametrize("level", [1, 2])
def test_wrong_code_alarm_does_not_stop_backends(harness: Harness, level: int) -> None:
    harness.usage_counters.level = level
    sent = request(harness)
    harness.clock.advance(60)

    harness.service.resend(SHOP, PHONE, sent.verification_id, client_ip=ADDRESS)
    assert len(harness.sender.sent) == 2


def test_wrong_code_alarm_requires_a_challenge_for_a_resend(harness: Harness) -> None:
    vid = request(harness, is_public=True).verification_id
    harness.clock.advance(60)
    harness.usage_counters.level = 1

    for who in ({"is_public": True}, {"accepts_challenge": True}):
        with pytest.raises(ChallengeRequired):
            harness.service.resend(SHOP, PHONE, vid, client_ip=ADDRESS, **who)


def test_backend_gets_an_easy_challenge_during_a_severe_alarm(harness: Harness) -> None:
    harness.usage_counters.level = 2
    harness.store.risk_reasons = ("address_sends_per_hour",)

    assert required_level(harness) == 1


def test_reasons_are_logged_without_phone_and_address(harness: Harness) -> None:
    harness.store.risk_reasons = ("address_sends_per_hour",)
    harness.store.is_restricted = True
    harness.usage_counters.level = 1
    required_level(harness, is_public=True)

    (event,) = harness.events.of("challenge_required")
    assert event["reasons"] == ["address_sends_per_hour", "phone_slow_lane", "service_wrong_codes"]
    assert PHONE[3:] not in str(event)
    assert ADDRESS not in str(event)


# ── solutions ──


def test_solution_is_accepted_once(harness: Harness) -> None:
    harness.store.risk_reasons = ("address_sends_per_hour",)
    request(harness, risk_solution="1:abc")
    harness.clock.advance(60)

    with pytest.raises(ChallengeRequired):
        request(harness, risk_solution="1:abc")
    assert len(harness.sender.sent) == 1


def test_used_solution_requires_a_new_challenge(harness: Harness) -> None:
    """The address's script learns of a solution before it is known whether the solution is unused."""
    harness.store.risk_reasons = ("address_sends_per_hour",)
    request(harness, risk_solution="1:abc")
    harness.clock.advance(60)
    harness.store.risk_reasons = ()
    harness.sender.sent.clear()

    assert required_level(harness, risk_solution="1:abc") == 1


def test_easy_solution_is_not_enough_for_a_hard_challenge(harness: Harness) -> None:
    harness.usage_counters.level = 2

    assert required_level(harness, risk_solution="1:abc", is_public=True) == 2
    request(harness, risk_solution="2:def", is_public=True)


def test_wrong_solution_is_ignored_and_not_stored(harness: Harness) -> None:
    harness.store.risk_reasons = ("address_sends_per_hour",)

    assert required_level(harness, risk_solution="garbage") == 1
    assert harness.store.prechecks[-1].solved_challenge_id == ""


def test_solution_lifts_no_limit(harness: Harness) -> None:
    request(harness)

    with pytest.raises(CooldownActive):
        request(harness, risk_solution="2:abc")


def test_resend_may_require_a_challenge(harness: Harness) -> None:
    vid = request(harness).verification_id
    harness.clock.advance(60)
    harness.store.risk_reasons = ("address_sends_per_hour",)

    with pytest.raises(ChallengeRequired):
        harness.service.resend(SHOP, PHONE, vid, client_ip=ADDRESS)
    harness.service.resend(SHOP, PHONE, vid, client_ip=ADDRESS, risk_solution="1:abc")
    assert len(harness.sender.sent) == 2


def test_disabled_challenges_are_never_required_and_limits_still_apply(harness: Harness) -> None:
    silent = fakes.harness(challenges=None)
    silent.store.risk_reasons = ("address_sends_per_hour",)
    silent.usage_counters.level = 2
    request(silent, risk_solution="1:abc", is_public=True)

    assert len(silent.sender.sent) == 1
    assert silent.store.prechecks[-1].challenges_disabled
    with pytest.raises(CooldownActive):
        request(silent, is_public=True)


# ── the guard ──


def test_guard_requires_a_challenge_and_then_blocks() -> None:
    harness = fakes.harness(risk=ENFORCED)
    harness.store.conversions = (reading("prefix", 1),)
    first = required_level(harness)
    harness.store.conversions = (reading("prefix", 1), reading("country", 2))

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
        "suspect while calm",
        "normal while strict",
        "suspect while strict",
        "suspect address of a strict client",
        "first while stricter",
        "second while stricter",
        "verified while stricter",
        "all requests",
    ],
)
def test_broad_scopes_make_narrow_scopes_stricter(
    readings: tuple[ConversionStats, ...], reasons: list[str]
) -> None:
    harness = fakes.harness(risk=ENFORCED)
    harness.store.conversions = readings
    if reasons:
        required_level(harness)
    else:
        request(harness)

    assert [facts["reasons"] for facts in harness.events.of("challenge_required")] == (
        [reasons] if reasons else []
    )


def test_broad_scope_never_blocks() -> None:
    harness = fakes.harness(risk=ENFORCED)
    harness.store.conversions = (broad(3), broad(3, "client"), suspect())

    required_level(harness)
    request(harness, risk_solution="1:abc")
    assert len(harness.sender.sent) == 1


def test_tripped_prefix_is_reported_to_the_broad_scopes_once() -> None:
    harness = fakes.harness(risk=ENFORCED)
    harness.store.conversions = (reading("prefix", 1),)
    required_level(harness)
    first = len(harness.usage_counters.tripped_checks)
    harness.store.conversions = (replace(reading("prefix", 1), state=ConversionState.TRIPPED),)
    required_level(harness)

    assert (first, len(harness.usage_counters.tripped_checks)) == (4, 4)


def test_allowed_phone_counts_in_no_scope() -> None:
    harness = fakes.harness(risk=ENFORCED, lists=AccessLists(allow=AccessList(prefixes=("+86139",))))
    sent = request(harness)
    harness.service.verify(SHOP, PHONE, sent.verification_id, harness.sender.last_code)

    ((*_, scopes),) = harness.usage_counters.approvals
    assert (harness.usage_counters.scopes, scopes) == ([], ())


def test_known_phone_passes_the_guard() -> None:
    harness = fakes.harness(risk=ENFORCED)
    harness.store.conversions = (reading("prefix", 2),)
    harness.store.make_phone_known(harness.keyring.phone_hash(PHONE))

    request(harness)
    assert len(harness.sender.sent) == 1


def test_phone_with_known_phone_set_passes_the_guard() -> None:
    harness = fakes.harness(risk=ENFORCED)
    harness.store.conversions = (reading("prefix", 2),)

    request(harness, known_phone=True)
    assert len(harness.sender.sent) == 1


@pytest.mark.parametrize(("level", "refusal"), [(1, ChallengeRequired), (2, DestinationBlocked)])
@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
def test_a41_tripped_guard_does_not_reveal_known_phones_to_browsers(
    level: int,
    refusal: type[Exception],
    is_known: bool,  # noqa: FBT001
) -> None:
    harness = fakes.harness(risk=ENFORCED)
    harness.store.conversions = (reading("prefix", level),)
    if is_known:
        harness.store.make_phone_known(harness.keyring.phone_hash(PHONE))

    with pytest.raises(refusal):
        request(harness, is_public=True)
    assert harness.sender.sent == []


def test_disabled_guard_counts_no_approvals() -> None:
    harness = fakes.harness(risk=OFF)
    sent = request(harness)

    harness.service.verify(SHOP, PHONE, sent.verification_id, harness.sender.last_code)

    (approval,) = harness.usage_counters.approvals
    assert approval[-1] == ()


def test_enforced_guard_counts_in_the_precheck_and_observing_guard_afterwards() -> None:
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
def test_neighbouring_numbers_share_a_prefix_scope(phones: tuple[str, ...]) -> None:
    harness = fakes.harness(risk=ENFORCED, phones=PhoneRules(countries=frozenset({"CN", "HK"})))
    for phone in phones:
        harness.service.request(SHOP, phone, purpose="login")

    first, second, third = (
        run_precheck.conversion_scopes[1].name for run_precheck in harness.store.prechecks
    )
    assert first == second != third


def test_missing_address_skips_its_limits_and_scope() -> None:
    harness = fakes.harness(risk=ENFORCED)
    request(harness, client_ip=None)

    run_precheck = harness.store.prechecks[-1]
    assert run_precheck.ip_quota is None
    assert [scope.kind for scope in run_precheck.conversion_scopes] == ["country", "prefix", "client"]


def test_approval_counts_in_every_scope(harness: Harness) -> None:
    vid = request(harness).verification_id
    wrong = "000000" if harness.sender.last_code != "000000" else "000001"
    with pytest.raises(Exception, match="wrong"):
        harness.service.verify(SHOP, PHONE, vid, wrong, client_ip=ADDRESS)
    harness.service.verify(SHOP, PHONE, vid, harness.sender.last_code, client_ip=ADDRESS)

    ((phone_hash, wrong_codes, address, scopes),) = harness.usage_counters.approvals
    assert (phone_hash, wrong_codes) == (harness.keyring.phone_hash(PHONE), 1)
    assert address
    assert [scope.kind for scope in scopes] == list(CONVERSION_SCOPES)
    assert harness.usage_counters.failures == 1


def test_limits_of_each_scope_come_from_the_policy() -> None:
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
