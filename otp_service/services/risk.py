"""Risk: who must solve a risk challenge before an SMS is sent, and which SMS are refused.

A challenge costs an attacker computing time for each SMS and a person only a moment, so it comes first. Only
requests far beyond normal use are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache

from otp_service.domain.crypto import Keyring
from otp_service.domain.errors import (
    ChallengeRequired,
    DestinationBlocked,
    DestinationRejected,
    OtpError,
    ProviderError,
    StoreUnavailable,
)
from otp_service.domain.idempotency import IdempotencyRecord
from otp_service.domain.policy import BROAD_SCOPES, PumpingGuardMode, RiskPolicy
from otp_service.domain.risk import (
    ChallengeSubject,
    ConversionScope,
    ConversionState,
    ConversionStats,
    PrecheckRequest,
    PrecheckResult,
    QuotaReservation,
)
from otp_service.services.context import RequestContext
from otp_service.services.interfaces import ChallengeProvider, EventLogger, Store, UsageCounters

SUFFIX_DIGITS = 4
"""A prefix is a number without these digits: ten thousand numbers. Pumped numbers come in such blocks."""

SHARED_SCOPES = 4_096
"""Size of the cache of scopes per prefix; computing a scope costs one HMAC."""

HARD = 2
"""The level of a hard challenge, and of a narrow scope in which SMS are blocked."""

STRICTER, EVERYONE = 2, 3
"""Levels of a broad scope; see `conversion_stats_broad.lua`."""


class RiskAssessor:
    """Decides who must solve a risk challenge, from what the pre-check has found. Thread-safe.

    Without *challenges* no challenge is ever required.
    """

    def __init__(
        self,
        *,
        policy: RiskPolicy,
        keyring: Keyring,
        challenges: ChallengeProvider | None,
        counters: UsageCounters,
        events: EventLogger,
    ) -> None:
        self._policy = policy
        self._keyring = keyring
        self._challenges = challenges
        self._counters = counters
        self._events = events
        self._shared_scopes = lru_cache(SHARED_SCOPES)(self._make_shared_scopes)

    def build_precheck(
        self, context: RequestContext, solution: str, record: IdempotencyRecord | None
    ) -> PrecheckRequest:
        """Return what the pre-check reads and counts. *solution* is that of a risk challenge, or empty."""
        if context.is_allowlisted:
            return PrecheckRequest(idempotency=record)
        quota = context.ip_quota(self._policy.ip_limits)
        if context.test_code:
            # No SMS is sent, so no challenge is required. The limits of the IP address apply.
            return PrecheckRequest(ip_quota=quota, challenges_disabled=True, idempotency=record)
        challenge_id, level = self._read_solution(context, solution)
        is_enforced = self._policy.pumping_guard_mode is PumpingGuardMode.ENFORCE
        return PrecheckRequest(
            ip_quota=quota,
            conversion_scopes=self.conversion_scopes(context) if is_enforced else (),
            solved_challenge_id=challenge_id,
            solution_level=level,
            solution_ttl=self._challenges.ttl if self._challenges else 0,
            challenges_disabled=self._challenges is None,
            idempotency=record,
        )

    def enforce(
        self,
        context: RequestContext,
        precheck: PrecheckRequest,
        result: PrecheckResult,
        *,
        known: bool,
        accepts_challenge: bool = False,
    ) -> None:
        """Return if an SMS may be sent.

        Wrong codes of other callers require a challenge only from callers that can solve one: browsers, and
        servers that accept a challenge and pass it on to their page.

        Raises:
            LimitError, ProviderRateLimited, VerificationError: nothing can be sent now.
            DestinationBlocked: far too few SMS of this kind are ever verified.
            ChallengeRequired: the request is suspicious, and the solution is missing or not sufficient.
        """
        if any(_is_news(stats) for stats in result.conversions):
            self._counters.record_tripped(self.conversion_scopes(context))
        if result.rejection:
            raise result.rejection
        if context.is_allowlisted or context.test_code:
            return
        reasons = list(result.risk_reasons)
        if not known:
            reasons += self._pumping_reasons(context, result)
        can_solve = context.is_public or accepts_challenge
        alarm = self._counters.global_risk_level() if can_solve else 0
        if result.is_restricted and can_solve:
            reasons.append("phone_slow_lane")
        if alarm:
            reasons.append("service_wrong_codes")
        if precheck.solution_level and not result.challenge_accepted:
            # The pre-check admitted the IP address because of a solution that had already been used.
            reasons.append("risk_solution_used")
        required = max(alarm, 1) if reasons else 0
        shown = precheck.solution_level if result.challenge_accepted else 0
        if self._challenges and shown < required:
            self._emit("challenge_required", context, reasons)
            raise ChallengeRequired(self._challenges.issue(_subject(context), required))

    def record_send(self, context: RequestContext, result: PrecheckResult) -> None:
        """Count an SMS that was sent."""
        scopes = self.conversion_scopes(context)
        if scopes:
            is_urgent = any(_is_nearly_suspect(stats) for stats in result.conversions)
            is_counted = self._policy.pumping_guard_mode is PumpingGuardMode.ENFORCE
            self._counters.record_send(scopes, is_counted=is_counted, is_urgent=is_urgent)

    def conversion_scopes(self, context: RequestContext) -> tuple[ConversionScope, ...]:
        """Return the scopes in which an SMS to this phone is counted as sent, and later as verified."""
        if (
            self._policy.pumping_guard_mode is PumpingGuardMode.OFF
            or context.is_allowlisted
            or context.test_code
        ):
            return ()
        phone = context.phone
        prefix = f"{phone.country_code} {phone.national[:-SUFFIX_DIGITS]}"
        shared = self._shared_scopes(phone.country, prefix, context.client.id)
        return (*shared, self._scope("address", context.client_ip_hash)) if context.client_ip_hash else shared

    def _make_shared_scopes(self, country: str, prefix: str, client: str) -> tuple[ConversionScope, ...]:
        names = {"country": country, "prefix": self._keyring.prefix_hash(prefix), "client": client}
        return tuple(self._scope(kind, name) for kind, name in names.items())

    def _scope(self, kind: str, name: str) -> ConversionScope:
        return ConversionScope(
            kind, f"{kind}:{name}", self._policy.conversion_limits[kind], is_broad=kind in BROAD_SCOPES
        )

    def _pumping_reasons(self, context: RequestContext, result: PrecheckResult) -> list[str]:
        narrow = [stats for stats in result.conversions if not stats.is_broad]
        broad = [stats for stats in result.conversions if stats.is_broad]
        blocking = [stats.kind for stats in narrow if stats.level >= HARD]
        if blocking:
            self._emit("pumping_guard_blocked", context, [f"guard_{kind}" for kind in blocking])
            raise DestinationBlocked
        strictness = max((stats.level for stats in broad), default=0)
        kinds = [stats.kind for stats in narrow if _requires_challenge(stats, strictness)]
        kinds += [stats.kind for stats in broad if stats.level >= EVERYONE]
        return [f"guard_{kind}" for kind in kinds]

    def _read_solution(self, context: RequestContext, solution: str) -> tuple[str, int]:
        if not solution or self._challenges is None:
            return "", 0
        for level in (HARD, 1):
            if solved := self._challenges.verify(solution, _subject(context), level):
                return solved, level
        return "", 0

    def _emit(self, event: str, context: RequestContext, reasons: Sequence[str]) -> None:
        self._events.emit(
            event,
            phone_hash=context.phone_key.phone_hash,
            phone_masked=str(context.phone),
            client=context.client.id,
            client_ip_hash=context.client_ip_hash,
            reasons=list(reasons),
        )


def _is_news(stats: ConversionStats) -> bool:
    """Return whether a narrow scope has tripped and the broad scopes do not know about it yet."""
    return not stats.is_broad and stats.level > 0 and stats.state is not ConversionState.TRIPPED


def _requires_challenge(stats: ConversionStats, strictness: int) -> bool:
    """Return whether a narrow scope requires a challenge at the *strictness* that the broad scopes set."""
    is_suspect = stats.is_suspect and strictness > 0
    is_second = strictness >= STRICTER and stats.sent > 1 + 2 * stats.verified
    return stats.level > 0 or is_suspect or is_second


def _is_nearly_suspect(stats: ConversionStats) -> bool:
    """Return whether a narrow scope has so few verified SMS that this SMS should be shared soon."""
    return not stats.is_broad and stats.sent > 2 * max(1, stats.verified)


def _subject(context: RequestContext) -> ChallengeSubject:
    return ChallengeSubject(context.client.id, context.phone_key.phone_hash)


class PendingSms:
    """An SMS that is already counted and may not have been sent yet."""

    def __init__(self) -> None:
        self.is_sent = False

    def mark_sent(self) -> None:
        """Keep what was counted."""
        self.is_sent = True


@contextmanager
def release_unless_sent(
    store: Store, context: RequestContext, result: PrecheckResult
) -> Iterator[PendingSms]:
    """Release the reservation that the pre-check made, unless the block marks the SMS as sent.

    The pre-check counts an SMS before it is sent, so that parallel calls see each other. A call that is then
    refused must not stay counted: its SMS can never be verified, and strangers could trip the pumping guard
    without causing a single SMS. Two refusals stay counted, because they indicate that someone is trying out
    numbers: a number that the provider rejects stays counted everywhere, and any other refusal by the
    provider stays counted for the IP address. If the process dies in between, too much stays counted, never
    too little.
    """
    pending = PendingSms()
    reservation = result.reservation
    try:
        yield pending
    except (StoreUnavailable, DestinationRejected):
        raise
    except ProviderError:
        _release(store, context, replace(reservation, ip_quota=None))
        raise
    except OtpError:
        _release(store, context, reservation)
        raise
    if not pending.is_sent:
        _release(store, context, reservation)


def _release(store: Store, context: RequestContext, reservation: QuotaReservation) -> None:
    """Release *reservation*; if the store fails now, too much stays counted."""
    if reservation.ip_quota or reservation.conversion_scopes:
        with suppress(StoreUnavailable):
            store.release_quota(context.phone_key.phone_hash, reservation)
