"""Suspicion: who must solve a risk challenge before an SMS goes out, and who gets none. Touches nothing.

A challenge costs an attacker computing time for every SMS and a person nothing but a moment, so that it comes
first; refused is only what is far beyond everything a person does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from otp_service.ask import Ask
from otp_service.errors import ChallengeRequired, DestinationBlocked
from otp_service.keyring import Keyring
from otp_service.policy import GuardMode, RiskPolicy
from otp_service.ports import (
    AddressSlot,
    Events,
    GuardScope,
    Knock,
    Ledger,
    RiskBinding,
    RiskChallenges,
    Standing,
)

PREFIX_DIGITS = 7
"""A mainland prefix of seven digits is ten thousand numbers, which is how pumped numbers come."""

SHARED_SCOPES = 4_096
"""Of so many prefixes the scopes are kept: a tag is an HMAC, and all phones of a prefix share it."""

HARD = 2


class Suspicion:
    """Weighs what the first flush has told. Without *challenges* nobody is asked, only refused."""

    def __init__(
        self,
        *,
        policy: RiskPolicy,
        keyring: Keyring,
        challenges: RiskChallenges | None,
        ledger: Ledger,
        events: Events,
    ) -> None:
        self._policy = policy
        self._keyring = keyring
        self._challenges = challenges
        self._ledger = ledger
        self._events = events
        self._shared_scopes = lru_cache(SHARED_SCOPES)(self._make_shared_scopes)

    def knock(self, ask: Ask, solution: str) -> tuple[Knock, int]:
        """Return what the first flush must touch for *ask*, and the level of the *solution* shown, or 0."""
        if ask.is_spared:
            return Knock(), 0
        solved, level = self._read(ask, solution)
        enforced = self._policy.guard_mode is GuardMode.ENFORCE
        knock = Knock(
            address=AddressSlot(ask.address, self._policy.address) if ask.address else None,
            guards=self.scopes(ask) if enforced else (),
            solution=solved,
            solution_ttl=self._challenges.ttl if self._challenges else 0,
            unchallenged=self._challenges is None,
        )
        return knock, level

    def judge(self, ask: Ask, standing: Standing, level: int, *, known: bool) -> None:
        """Let an SMS pass, or not.

        Raises:
            LimitError, ProviderRateLimited, VerificationError: nothing can be sent now.
            DestinationBlocked: far too few of such SMS are ever verified.
            ChallengeRequired: something is suspicious, and no sufficient solution was shown.
        """
        if standing.refusal:
            raise standing.refusal
        if ask.is_spared:
            return
        guarded = () if known else self._guarded(ask, standing)
        alarm = self._ledger.alarm()
        reasons = [*standing.suspicions, *guarded]
        reasons += ["phone_slow_lane"] if standing.is_slow else []
        reasons += ["service_wrong_codes"] if alarm else []
        # The address was let pass for a solution that turned out to be used up.
        reasons += ["risk_solution_used"] if level and not standing.solved else []
        needed = max(alarm, 1) if reasons else 0
        shown = level if standing.solved else 0
        if self._challenges and shown < needed:
            self._tell("challenge_required", ask, reasons)
            raise ChallengeRequired(self._challenges.issue(_binding(ask), needed))

    def scopes(self, ask: Ask) -> tuple[GuardScope, ...]:
        """Return where an SMS to this phone is counted as sent, and later as verified."""
        if self._policy.guard_mode is GuardMode.OFF:
            return ()
        phone = ask.phone
        prefix = f"{phone.country_code} {phone.national[:PREFIX_DIGITS]}"
        shared = self._shared_scopes(phone.country, prefix, ask.client.id)
        return (*shared, self._scope("address", ask.address)) if ask.address else shared

    def _make_shared_scopes(self, country: str, prefix: str, client: str) -> tuple[GuardScope, ...]:
        names = {"country": country, "prefix": self._keyring.prefix_tag(prefix), "client": client}
        return tuple(self._scope(kind, name) for kind, name in names.items())

    def _scope(self, kind: str, name: str) -> GuardScope:
        return GuardScope(kind, f"{kind}:{name}", self._policy.guards[kind])

    def _guarded(self, ask: Ask, standing: Standing) -> list[str]:
        blocking = [reading.kind for reading in standing.guards if reading.level >= HARD]
        if blocking:
            self._tell("guard_blocked", ask, [f"guard_{kind}" for kind in blocking])
            raise DestinationBlocked
        return [f"guard_{reading.kind}" for reading in standing.guards if reading.level]

    def _read(self, ask: Ask, solution: str) -> tuple[str, int]:
        if not solution or self._challenges is None:
            return "", 0
        for level in (HARD, 1):
            if solved := self._challenges.solved(solution, _binding(ask), level):
                return solved, level
        return "", 0

    def _tell(self, event: str, ask: Ask, reasons: Sequence[str]) -> None:
        self._events.emit(
            event,
            phone=ask.slot.tag,
            phone_masked=str(ask.phone),
            client=ask.client.id,
            address=ask.address,
            limits=list(reasons),
        )


def _binding(ask: Ask) -> RiskBinding:
    return RiskBinding(ask.client.id, ask.slot.tag)
