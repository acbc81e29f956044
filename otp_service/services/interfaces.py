"""Protocols for everything outside the domain that the services need.

Adapters implement them, and `app.py` passes the adapters to the services. A successful call returns a value;
a failed call raises an error from `domain/errors.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

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
from otp_service.domain.reports import ProviderReport, ReceivedSms
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
    """The time of this machine. The store has a clock of its own."""

    def now(self) -> float:
        """Return unix seconds."""
        ...

    def monotonic(self) -> float:
        """Return the seconds of a clock that never goes backwards, for deadlines."""
        ...


class EventLogger(Protocol):
    """Logs what happens, and counts it in the metrics."""

    def emit(self, event: str, **facts: object) -> None:
        """Log *event* with its *facts*: keyed hashes, masked numbers, names and counts, never secrets."""
        ...


class RequestLogContext(Protocol):
    """Facts about the current request, for its log line."""

    def bind(self, **facts: object) -> None:
        """Add *facts*, under the rules of `EventLogger.emit`."""
        ...


# ── the store ──


class Store(Protocol):
    """Verifications, limits and budgets.

    Each method is one round trip and raises StoreUnavailable if it fails. The store knows keyed hashes of
    phones and verifications, never a number or an id. With *opener_only* a verification is found only from
    the IP address that requested it; for others it is as if it did not exist.
    """

    def precheck(
        self, phone_key: PhoneKey, client: str, max_attempts: int, request: PrecheckRequest
    ) -> PrecheckResult:
        """Return whether an SMS for a new verification may be sent now. First round trip of a request."""
        ...

    def precheck_resend(
        self,
        phone_key: PhoneKey,
        client: str,
        verification_hash: str,
        request: PrecheckRequest,
        *,
        opener_only: bool = False,
    ) -> PrecheckResult:
        """Return whether this verification may get another SMS now. First round trip of a resend.

        The rejection may be a VerificationError: unknown, ended, or too old for a resend.
        """
        ...

    def release_quota(self, phone_hash: str, reservation: QuotaReservation) -> None:
        """Release what the pre-check has counted for an SMS to this phone that was not sent."""
        ...

    def begin_idempotent(self, record: IdempotencyRecord) -> IdempotencyCheck:
        """Begin a call with an idempotency key that has no pre-check."""
        ...

    def finish_idempotent(self, record: IdempotencyRecord, result_id: str = "") -> None:
        """Keep *result_id* as the result of the call; without one, free the key."""
        ...

    def create(
        self, phone_key: PhoneKey, new: NewVerification, budgets: Mapping[Budget, int]
    ) -> Verification:
        """Take from the budgets, create the verification and reserve a send; all or nothing.

        The second round trip of a request. *budgets* maps each budget to how much of it this call may use.

        Raises:
            LimitError, ProviderRateLimited: a limit or budget is used up.
        """
        ...

    def reserve_resend(
        self,
        phone_key: PhoneKey,
        client: str,
        verification_hash: str,
        ttl: int,
        budgets: Mapping[Budget, int],
    ) -> ResendReservation:
        """Take from the *budgets* and reserve another send; all or nothing. Second round trip of a resend.

        The verification then lives for *ttl* more seconds, but never beyond
        `limits.MAX_VERIFICATION_LIFETIME`.

        Raises:
            VerificationError, LimitError, ProviderRateLimited: as `precheck_resend`.
        """
        ...

    def record_send_result(
        self,
        phone_key: PhoneKey,
        client: str,
        record: SendResultRecord,
        refund: Sequence[Budget],
        finished: IdempotencyRecord | None = None,
    ) -> Verification | None:
        """Record how a send ended, refund budgets and finish an idempotent call. The third round trip.

        Returns None if the verification no longer exists: one whose first SMS was not sent is deleted.
        """
        ...

    def apply_delivery_reports(self, reports: Sequence[DeliveryReport]) -> list[DeliveryUpdate | None]:
        """Record delivery reports; states only move forward. None stands for a verification that is gone."""
        ...

    def acquire_lookup_lease(self, phone_hash: str, verification_hash: str, call: str) -> bool:
        """Return whether *call* may ask a provider about this verification; False if it has just done so."""
        ...

    def attempt(
        self,
        phone_key: PhoneKey,
        client: str,
        verification_hash: str,
        attempt: CodeAttempt,
        *,
        opener_only: bool = False,
    ) -> Approval:
        """Count one attempt, compare the code and return the approval.

        The call that approved a verification may be repeated, with the same result.

        Raises:
            VerificationError: every outcome other than approval.
            InvalidCode: the verification has codes of another type; no attempt was used.
        """
        ...

    def read(
        self, phone_key: PhoneKey, client: str, verification_hash: str, *, opener_only: bool = False
    ) -> Verification:
        """Return the current state of the verification.

        Raises:
            VerificationNotFound: it is unknown, or belongs to another phone or client.
        """
        ...

    def cancel(
        self, phone_key: PhoneKey, client: str, verification_hash: str, *, opener_only: bool = False
    ) -> None:
        """Cancel a pending verification. Canceling it again changes nothing.

        Raises:
            VerificationError: it is unknown, or has ended in another way.
        """
        ...

    def redeem(self, phone_hash: str, verification_hash: str, ttl: int, call: bytes = b"") -> bool:
        """Mark the proof of a verification as used for *ttl* seconds; return whether *call* did so before.

        *call* is the fingerprint of a call with an idempotency key, or empty.

        Raises:
            ProofRedeemed: another call has used it.
        """
        ...

    def unlock(self, phone_hash: str) -> None:
        """Reset the failures of a phone."""
        ...

    def mark_missing_client_ip(self, client: str) -> None:
        """Remember for some days that *client* does not send the end user's IP address."""
        ...

    def mark_unreadable_client_ip(self) -> None:
        """Remember for some days that a trusted proxy sent something that is not an IP address."""
        ...

    def check_health(self) -> bool:
        """Check that the store accepts writes and never evicts keys; return whether its data is persistent.

        Raises:
            StoreUnavailable: it does not; the message says why.
        """
        ...


class PageStore(Protocol):
    """Hosted pages. Each method is one round trip and raises StoreUnavailable if it fails."""

    def check_rate(self, event: PageEvent, client: str, quota: PageQuota, ip_hash: str) -> None:
        """Count an *event* of a page of *client*. *ip_hash* is empty if the visitor's address is unknown.

        Raises:
            LimitReached: *quota* is used up; nothing was counted.
        """
        ...

    def create(self, page_hash: str, encrypted: bytes, ttl: int) -> None:
        """Store a new page for *ttl* seconds."""
        ...

    def load(self, page_hash: str) -> StoredPage | None:
        """Return the page, or None if it does not exist."""
        ...

    def compare_and_set(self, page_hash: str, version: int, encrypted: bytes) -> bool:
        """Replace the page if it still has this *version*; return False if it has another one or is gone.

        The TTL does not change.
        """
        ...


class UsageCounters(Protocol):
    """Counters that no request waits for. Processes share their totals about twice a second.

    A limit on such a counter may be exceeded by what all processes count in that time.
    """

    def record_miss(self, quota: ClientIpQuota) -> None:
        """Count a call about a verification that does not exist or belongs to another phone."""
        ...

    def seconds_until_misses_allowed(self, quota: ClientIpQuota) -> int:
        """Return the seconds until the address may cause misses again; 0 if it has some left."""
        ...

    def record_send(
        self, scopes: Sequence[ConversionScope], *, is_counted: bool = False, is_urgent: bool = False
    ) -> None:
        """Count an SMS that was sent.

        *is_counted*: the pre-check has counted it in the narrow scopes. *is_urgent*: share it soon.
        """
        ...

    def record_tripped(self, scopes: Sequence[ConversionScope]) -> None:
        """Record that a narrow scope among *scopes* has tripped."""
        ...

    def record_failure(self) -> None:
        """Count a wrong code."""
        ...

    def record_approval(
        self,
        phone_hash: str,
        failed_attempts: int,
        quota: ClientIpQuota | None,
        scopes: Sequence[ConversionScope],
    ) -> None:
        """Count a verified phone. Its *failed_attempts* no longer count as guesses."""
        ...

    def global_risk_level(self) -> int:
        """Return the level of the service's wrong codes today: 0, 1 (too many) or 2 (far too many)."""
        ...


# ── risk challenges ──


class ChallengeProvider(Protocol):
    """Challenges for suspicious requests. An operator may plug in another implementation."""

    @property
    def ttl(self) -> int:
        """Lifetime of a challenge in seconds. Its id is remembered as used for at least this long."""
        ...

    def issue(self, subject: ChallengeSubject, level: int) -> Mapping[str, object]:
        """Return a challenge of *level* 1, or 2 for a hard one, in the form that a browser needs."""
        ...

    def verify(self, solution: str, subject: ChallengeSubject, level: int) -> str | None:
        """Return the id of the challenge that *solution* solves (at most 64 URL-safe characters).

        Returns None if it is not a valid, unexpired solution of at least this *level* for *subject*.
        """
        ...


# ── sending ──


class SmsSender(Protocol):
    """Sends SMS through the providers."""

    def supports(self, client: str, purpose: str) -> bool:
        """Return whether any route sends for *client* and *purpose*."""
        ...

    def permit(self) -> AbstractContextManager[None]:
        """Permit one send while the block runs.

        Raises:
            ProviderUnavailable: too many sends are in flight, or the process is stopping.
        """
        ...

    def send(self, sms: SmsMessage, deadline: float) -> SendResult:
        """Send *sms* once and return how it ended, by *deadline* (monotonic seconds). Never raises.

        The caller holds a permit. If the request was sent but no response has arrived by the deadline, the
        outcome is UNKNOWN.
        """
        ...

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        """Ask the provider about a send, until *deadline* (monotonic seconds). Never raises."""
        ...


# ── delivery reports and inbound SMS ──


class ReportParser(Protocol):
    """Reads the reports of one provider."""

    def read_body(self, body: bytes) -> list[object]:
        """Return the items of a push or of a queue message.

        Raises:
            UnreadableReports: the body holds no items.
        """
        ...

    def read_item(self, item: object) -> ProviderReport | ReceivedSms:
        """Return what one item reports.

        Raises:
            UnreadableReports: it is neither a delivery report nor an inbound SMS.
        """
        ...

    def describe_item(self, item: object) -> list[str]:
        """Return the structure of an item for the log: its known fields and their types, never a value."""
        ...


class InboundSmsForwarder(Protocol):
    """Forwards inbound SMS to the operator's webhook."""

    def forward(self, message: InboundSms, seconds: float) -> bool:
        """Forward *message* within *seconds*; return whether the receiver accepted it. Never raises."""
        ...
