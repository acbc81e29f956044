"""Risk: who must solve a risk challenge before an SMS is sent, and who gets none.

A challenge costs an attacker computing time for every SMS and a person nothing but a moment, so that it comes
first; refused is only what is far beyond everything a person does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from otp_service.domain.errors import ChallengeRequired, DestinationBlocked
from otp_service.domain.keyring import Keyring
from otp_service.domain.policy import BROAD, PumpingGuardMode, RiskPolicy
from otp_service.domain.risk import (
    ChallengeSubject,
    ClientIpQuota,
    ConversionScope,
    ConversionState,
    ConversionStats,
    PrecheckRequest,
    PrecheckResult,
)
from otp_service.services.context import RequestContext
from otp_service.services.interfaces import ChallengeProvider, EventLogger, UsageCounters

SUFFIX_DIGITS = 4
"""A prefix is a number without these digits: ten thousand numbers, which is how pumped numbers come."""

SHARED_SCOPES = 4_096
"""Of so many prefixes the scopes are kept: a tag is an HMAC, and all phones of a prefix share it."""

HARD = 2

STRICTER, EVERYBODY = 2, 3
"""Levels of a broad scope; see `conversion_stats_broad.lua`."""


class RiskAssessor:
    """Weighs what the first flush has told. Without *challenges* nobody is asked, only refused."""

    def __init__(
        self,
        *,
        policy: RiskPolicy,
        keyring: Keyring,
        challenges: ChallengeProvider | None,
        ledger: UsageCounters,
        events: EventLogger,
    ) -> None:
        self._policy = policy
        self._keyring = keyring
        self._challenges = challenges
        self._ledger = ledger
        self._events = events
        self._shared_scopes = lru_cache(SHARED_SCOPES)(self._make_shared_scopes)

    def build_precheck(self, ask: RequestContext, solution: str) -> tuple[PrecheckRequest, int]:
        """Return what the first flush must touch for *ask*, and the level of the *solution* shown, or 0."""
        if ask.is_allowlisted:
            return PrecheckRequest(), 0
        solved, level = self._read(ask, solution)
        if ask.test_code:
            # No SMS goes out, so nothing is asked for; what its requester may cause has an end all the same.
            return PrecheckRequest(address=self._address_slot(ask), challenges_disabled=True), 0
        enforced = self._policy.guard_mode is PumpingGuardMode.ENFORCE
        knock = PrecheckRequest(
            address=self._address_slot(ask),
            guards=self.conversion_scopes(ask) if enforced else (),
            solved_challenge_id=solved,
            solution_ttl=self._challenges.ttl if self._challenges else 0,
            challenges_disabled=self._challenges is None,
        )
        return knock, level

    def enforce(
        self,
        ask: RequestContext,
        standing: PrecheckResult,
        level: int,
        *,
        known: bool,
        accepts_challenge: bool = False,
    ) -> None:
        """Let an SMS pass, or not.

        Wrong codes of others ask nobody for a challenge who has no browser to solve it in: a backend is asked
        only if it *accepts_challenge*, which it then hands to its page.

        Raises:
            LimitError, ProviderRateLimited, VerificationError: nothing can be sent now.
            DestinationBlocked: far too few of such SMS are ever verified.
            ChallengeRequired: something is suspicious, and no sufficient solution was shown.
        """
        if any(_is_news(reading) for reading in standing.guards):
            self._ledger.look_at(self.conversion_scopes(ask))
        if standing.rejection:
            raise standing.rejection
        if ask.is_allowlisted or ask.test_code:
            return
        guarded = () if known else self._guarded(ask, standing)
        can_solve = ask.is_public or accepts_challenge
        alarm = self._ledger.global_risk_level() if can_solve else 0
        reasons = [*standing.risk_reasons, *guarded]
        reasons += ["phone_slow_lane"] if standing.is_restricted and can_solve else []
        reasons += ["service_wrong_codes"] if alarm else []
        # The address was let pass for a solution that turned out to be used up.
        reasons += ["risk_solution_used"] if level and not standing.challenge_accepted else []
        needed = max(alarm, 1) if reasons else 0
        shown = level if standing.challenge_accepted else 0
        if self._challenges and shown < needed:
            self._tell("challenge_required", ask, reasons)
            raise ChallengeRequired(self._challenges.issue(_binding(ask), needed))

    def note_sent(self, ask: RequestContext, standing: PrecheckResult) -> None:
        """Note in the ledger that an SMS went out."""
        scopes = self.conversion_scopes(ask)
        if scopes:
            is_urgent = any(_is_nearly_suspect(reading) for reading in standing.guards)
            is_counted = self._policy.guard_mode is PumpingGuardMode.ENFORCE
            self._ledger.record_send(scopes, is_counted=is_counted, is_urgent=is_urgent)

    def conversion_scopes(self, ask: RequestContext) -> tuple[ConversionScope, ...]:
        """Return where an SMS to this phone is counted as sent, and later as verified."""
        if self._policy.guard_mode is PumpingGuardMode.OFF or ask.is_allowlisted or ask.test_code:
            return ()
        phone = ask.phone
        prefix = f"{phone.country_code} {phone.national[:-SUFFIX_DIGITS]}"
        shared = self._shared_scopes(phone.country, prefix, ask.client.id)
        return (*shared, self._scope("address", ask.client_ip_hash)) if ask.client_ip_hash else shared

    def _address_slot(self, ask: RequestContext) -> ClientIpQuota | None:
        return ClientIpQuota(ask.client_ip_hash, self._policy.address) if ask.client_ip_hash else None

    def _make_shared_scopes(self, country: str, prefix: str, client: str) -> tuple[ConversionScope, ...]:
        names = {"country": country, "prefix": self._keyring.prefix_tag(prefix), "client": client}
        return tuple(self._scope(kind, name) for kind, name in names.items())

    def _scope(self, kind: str, name: str) -> ConversionScope:
        return ConversionScope(kind, f"{kind}:{name}", self._policy.guards[kind], is_broad=kind in BROAD)

    def _guarded(self, ask: RequestContext, standing: PrecheckResult) -> list[str]:
        narrow = [reading for reading in standing.guards if not reading.is_broad]
        broad = [reading for reading in standing.guards if reading.is_broad]
        blocking = [reading.kind for reading in narrow if reading.level >= HARD]
        if blocking:
            self._tell("pumping_guard_blocked", ask, [f"guard_{kind}" for kind in blocking])
            raise DestinationBlocked
        strictness = max((reading.level for reading in broad), default=0)
        asking = [reading.kind for reading in narrow if _is_asking(reading, strictness)]
        asking += [reading.kind for reading in broad if reading.level >= EVERYBODY]
        return [f"guard_{kind}" for kind in asking]

    def _read(self, ask: RequestContext, solution: str) -> tuple[str, int]:
        if not solution or self._challenges is None:
            return "", 0
        for level in (HARD, 1):
            if solved := self._challenges.verify(solution, _binding(ask), level):
                return solved, level
        return "", 0

    def _tell(self, event: str, ask: RequestContext, reasons: Sequence[str]) -> None:
        self._events.emit(
            event,
            phone_hash=ask.phone_key.tag,
            phone_masked=str(ask.phone),
            client=ask.client.id,
            client_ip_hash=ask.client_ip_hash,
            reasons=list(reasons),
        )


def _is_news(reading: ConversionStats) -> bool:
    """Tell whether a narrow scope has tripped and the broad ones were not told yet."""
    return not reading.is_broad and reading.level > 0 and reading.state is not ConversionState.TRIPPED


def _is_asking(reading: ConversionStats, strictness: int) -> bool:
    """Tell whether a narrow scope asks for a challenge, judged as strictly as the broad ones want it."""
    is_suspect = reading.is_suspect and strictness > 0
    is_second = strictness >= STRICTER and reading.sent > 1 + 2 * reading.verified
    return reading.level > 0 or is_suspect or is_second


def _is_nearly_suspect(reading: ConversionStats) -> bool:
    """Tell whether little was verified in a narrow scope, so that others should know of this SMS soon."""
    return not reading.is_broad and reading.sent > 2 * max(1, reading.verified)


def _binding(ask: RequestContext) -> ChallengeSubject:
    return ChallengeSubject(ask.client.id, ask.phone_key.tag)
