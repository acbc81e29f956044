"""The Protocols of what the services need of the outside.

An adapter implements a Protocol, `app.py` puts them together. A call that succeeds returns a value; one that
fails raises an error of `domain/errors.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from otp_service.domain.hosted_page import PageEvent, PageQuota, StoredPage
from otp_service.domain.idempotency import IdempotencyCheck, IdempotencyRecord
from otp_service.domain.limits import Budget
from otp_service.domain.messages import (
    DeliveryLookup,
    DeliveryLookupResult,
    InboundSms,
    SendResult,
    SmsMessage,
)
from otp_service.domain.risk import (
    ChallengeSubject,
    ClientIpQuota,
    ConversionScope,
    PhoneKey,
    PrecheckRequest,
    PrecheckResult,
    QuotaReservation,
)
from otp_service.domain.verification import (
    Approval,
    CodeAttempt,
    DeliveryReport,
    DeliveryUpdate,
    NewVerification,
    ResendReservation,
    SendResultRecord,
    Verification,
)


class Clock(Protocol):
    """The time of this machine; the store has a clock of its own."""

    def now(self) -> float:
        """Return unix seconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, for deadlines."""
        ...


class EventLogger(Protocol):
    """Where the service says what happened: logs and metrics."""

    def emit(self, event: str, **facts: object) -> None:
        """Record *event* with its *facts*; facts are tags, masks, names and numbers, never secrets."""
        ...


class RequestLogContext(Protocol):
    """What is known of the call at hand, for its one line in the log."""

    def bind(self, **facts: object) -> None:
        """Add *facts* to what is known; the rules are those of events."""
        ...


# ── the store ──


class Store(Protocol):
    """The service's memory. Every method is one round trip and raises StoreUnavailable when it fails.

    It is told the tags of phones and verifications, never a number or an id. With *opener_only* a
    verification is found only for the requester that opened it; for others it is as if it were unknown.
    """

    def precheck(self, slot: PhoneKey, client: str, attempts: int, knock: PrecheckRequest) -> PrecheckResult:
        """First flush of a new verification of *attempts*: ask whether an SMS may go out now."""
        ...

    def precheck_resend(
        self,
        slot: PhoneKey,
        client: str,
        verification_hash: str,
        knock: PrecheckRequest,
        *,
        opener_only: bool = False,
    ) -> PrecheckResult:
        """First flush of a resend: ask whether this verification may get another SMS now.

        The refusal may be a VerificationError: unknown, or ended, or too old for a resend.
        """
        ...

    def release_quota(self, tag: str, counted: QuotaReservation) -> None:
        """Give back what the first flush has *counted* for an SMS to the phone *tag* that did not go out."""
        ...

    def begin_idempotent(self, claim: IdempotencyRecord) -> IdempotencyCheck:
        """Claim an idempotency key alone."""
        ...

    def finish_idempotent(self, claim: IdempotencyRecord, what: str = "") -> None:
        """Keep the success that a claim has led to, told by *what*; without it, free the key."""
        ...

    def create(self, slot: PhoneKey, new: NewVerification, budgets: Mapping[Budget, int]) -> Verification:
        """Second flush: take from the budgets, open *new* and take a send slot; all or nothing.

        *budgets* maps each budget to what of it is open to this phone.

        Raises:
            LimitError, ProviderRateLimited: a limit or budget is full.
        """
        ...

    def reserve_resend(
        self,
        slot: PhoneKey,
        client: str,
        verification_hash: str,
        ttl: int,
        budgets: Mapping[Budget, int],
    ) -> ResendReservation:
        """Second flush of a resend: take from the *budgets* and take another send slot; all or nothing.

        The verification then lives for *ttl* seconds more, but never beyond
        `limits.MAX_VERIFICATION_LIFETIME`.

        Raises:
            VerificationError, LimitError, ProviderRateLimited: as `peek_resend`.
        """
        ...

    def record_send_result(
        self,
        slot: PhoneKey,
        client: str,
        record: SendResultRecord,
        refund: Sequence[Budget],
        ended: IdempotencyRecord | None = None,
    ) -> Verification | None:
        """Third flush: book how the send ended, give the *refund* budgets back and end a claim.

        Returns None when the verification is gone (withdrawn with its first send).
        """
        ...

    def apply_delivery_reports(self, reports: Sequence[DeliveryReport]) -> list[DeliveryUpdate | None]:
        """Book what became of sends; states only move forward. None for what is no longer remembered."""
        ...

    def acquire_lookup_lease(self, tag: str, verification_hash: str, call: str) -> bool:
        """Tell whether *call* may ask a provider about this verification; not if it has just done so."""
        ...

    def attempt(
        self,
        slot: PhoneKey,
        client: str,
        verification_hash: str,
        attempt: CodeAttempt,
        *,
        opener_only: bool = False,
    ) -> Approval:
        """Count one attempt and compare; return what is now approved.

        The very call that approved a verification may be repeated.

        Raises:
            VerificationError: every outcome but approval.
            InvalidCode: this verification's codes are never of these shapes; no attempt was used.
        """
        ...

    def read(
        self, slot: PhoneKey, client: str, verification_hash: str, *, opener_only: bool = False
    ) -> Verification:
        """Return the verification as it stands.

        Raises:
            VerificationNotFound: unknown, or not of this phone and client.
        """
        ...

    def cancel(
        self, slot: PhoneKey, client: str, verification_hash: str, *, opener_only: bool = False
    ) -> None:
        """End a pending verification; canceling a canceled one changes nothing.

        Raises:
            VerificationError: unknown, or ended otherwise.
        """
        ...

    def redeem(self, tag: str, verification_hash: str, ttl: int, call: bytes = b"") -> bool:
        """Mark the proof of a verification as used, for *ttl* seconds; True if this *call* did so before.

        Raises:
            ProofRedeemed: it was used before.
        """
        ...

    def unlock(self, tag: str) -> None:
        """Forget the failures of a phone."""
        ...

    def mark_missing_client_ip(self, client: str) -> None:
        """Remember for some days that *client* does not name the end user's address."""
        ...

    def mark_unreadable_client_ip(self) -> None:
        """Remember for some days that a trusted proxy did not write an address."""
        ...

    def check_health(self) -> bool:
        """Prove that the store takes writes and never evicts; tell whether it writes down what it holds.

        Raises:
            StoreUnavailable: it does not; the message says why.
        """
        ...


class PageStore(Protocol):
    """Where hosted pages lie. Every method is one round trip and raises StoreUnavailable when it fails."""

    def check_rate(self, event: PageEvent, client: str, quota: PageQuota, address: str) -> None:
        """Count one more *event* of a page of *client*, from the *address* with that tag; empty: unknown.

        Raises:
            LimitReached: *quota* is used up; nothing was counted.
        """
        ...

    def create(self, tag: str, sealed: bytes, ttl: int) -> None:
        """Keep a new page for *ttl* seconds."""
        ...

    def load(self, tag: str) -> StoredPage | None:
        """Return a page, None when it is gone."""
        ...

    def compare_and_set(self, tag: str, version: int, sealed: bytes) -> bool:
        """Put *sealed* in the place of the page of that *version*; False when it is another by now, or gone.

        The page lives no longer for it.
        """
        ...


class ChallengeProvider(Protocol):
    """Extra tasks for suspicious requesters; an operator may plug in another kind."""

    @property
    def ttl(self) -> int:
        """Seconds that a challenge lives; its id must be remembered as used at least that long."""
        ...

    def issue(self, binding: ChallengeSubject, level: int) -> Mapping[str, object]:
        """Return a challenge of *level* (1, or 2 for a hard one) as a browser needs it."""
        ...

    def verify(self, solution: str, binding: ChallengeSubject, level: int) -> str | None:
        """Return the id of the challenge that *solution* solves (at most 64 URL-safe characters).

        None when it is no valid, unexpired solution of at least that *level* for that *binding*.
        """
        ...


class UsageCounters(Protocol):
    """What is owed to counters that nobody waits for. Totals are shared about every second.

    What is refused by them may be exceeded by as much as happens in that time, by every process.
    """

    def record_miss(self, address: ClientIpQuota) -> None:
        """Count a call from *address* about a verification that does not exist, or is another phone's."""
        ...

    def seconds_until_misses_allowed(self, address: ClientIpQuota) -> int:
        """Return for how long *address* has used up its misses of ten minutes; 0 if it has not."""
        ...

    def record_send(
        self, guards: Sequence[ConversionScope], *, is_counted: bool = False, is_urgent: bool = False
    ) -> None:
        """Note an SMS that went out, in its scopes.

        *is_counted*: the first flush has counted it in the narrow ones. *is_urgent*: others should know soon.
        """
        ...

    def record_tripped(self, guards: Sequence[ConversionScope]) -> None:
        """Note that a narrow scope of *guards* was found to have tripped."""
        ...

    def record_failure(self) -> None:
        """Note a wrong code."""
        ...

    def record_approval(
        self, tag: str, wrong: int, address: ClientIpQuota | None, guards: Sequence[ConversionScope]
    ) -> None:
        """Note that the phone *tag* was verified, after so many *wrong* codes, which were no guesses then."""
        ...

    def global_risk_level(self) -> int:
        """Return 1 if the whole service has seen too many wrong codes today, 2 if far too many, else 0."""
        ...


# ── sending ──


class SendPermit(Protocol):
    """The right to one send, a context manager: given back on exit."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def send(self, sms: SmsMessage, deadline: float) -> SendResult:
        """Send *sms* once and return how it ended, at *deadline* (monotonic seconds) at the latest.

        When it has left and no answer has come by then, the outcome is UNKNOWN. Never raises.
        """
        ...


class SmsSender(Protocol):
    """The way out to the providers."""

    def supports(self, client: str, purpose: str) -> bool:
        """Tell whether any route sends for *client* and *purpose*."""
        ...

    def permit(self) -> SendPermit:
        """Return the right to one send.

        Raises:
            ProviderUnavailable: too many sends are in flight.
        """
        ...

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        """Ask what became of a send, until *deadline* (monotonic seconds). Never raises."""
        ...


# ── replies ──


class InboundSmsForwarder(Protocol):
    """Where replies go."""

    def forward(self, message: InboundSms, seconds: float) -> bool:
        """Forward *message* within *seconds*; return whether the receiver accepted it. Never raises."""
        ...
