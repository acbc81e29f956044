"""The ports: what the service asks of the outside, and the values that pass through them.

A room implements a port; `app.py` joins them. Success is a value, failure raises an error of
`domain/errors.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from types import TracebackType
from typing import Protocol, Self

from otp_service.domain.codes import CodeType
from otp_service.domain.errors import OtpError
from otp_service.domain.limits import Budget, GuardLimits, IpLimits, PhoneLimits
from otp_service.domain.messages import SmsMessage
from otp_service.domain.phone import Phone
from otp_service.domain.verification import DeliveryStatus, SmsSend, Verification


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


@dataclass(frozen=True, slots=True)
class PhoneKey:
    """The place of one phone in the store: its tag, its limits, and who asks (12 bytes, empty: not known).

    *known_device*: a server recognises the device or session of the person who asks.
    """

    tag: str
    limits: PhoneLimits
    requester: bytes = b""
    known_device: bool = False


@dataclass(frozen=True, slots=True)
class ClientIpQuota:
    """The place of one requester's address in the store: its tag and its limits."""

    tag: str
    limits: IpLimits = field(compare=False)


@dataclass(frozen=True, slots=True)
class ConversionScope:
    """One place where sent and verified are counted: its *kind*, like `country`, and its key's *name*."""

    kind: str = field(compare=False)
    name: str
    limits: GuardLimits = field(compare=False)
    is_broad: bool = field(default=False, compare=False)


class ConversionState(IntEnum):
    """How a narrow scope stands; one that is not calm accounts for its SMS, and the broad ones do not."""

    CALM = 2
    SUSPECT = 3
    TRIPPED = 4


@dataclass(frozen=True, slots=True)
class ConversionStats:
    """What one scope has counted in a day.

    Of a narrow scope *level* 1 is suspicious, 2 beyond doubt; *is_suspect*: it is suspicious where one is
    strict. *state* is what the broad scopes that sent there were told. Of a broad scope *level* 1 makes the
    narrow ones strict, 2 asks everybody.
    """

    kind: str
    level: int
    unverified: int
    sent: int
    verified: int
    is_broad: bool = False
    is_suspect: bool = False
    state: ConversionState = ConversionState.CALM


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """An idempotency key of one client's call: *tag* names it, *fingerprint* (16 bytes) is the payload's.

    *result_id* is what its success is told by: the seed of a new verification's id, or a verification's tag.
    """

    tag: str
    fingerprint: bytes
    result_id: str = ""


class IdempotencyState(StrEnum):
    """How far the call got that claimed an idempotency key first."""

    NEW = "new"
    """This one is the first."""
    IN_PROGRESS = "busy"
    DONE = "done"
    ABANDONED = "stale"
    """It was never ended, and who made it is gone; the claim is now this call's."""
    PAYLOAD_MISMATCH = "other"
    """It had another payload."""


@dataclass(frozen=True, slots=True)
class IdempotencyCheck:
    """What a claim found. *result_id* is the first call's, *wait* the seconds until a BUSY one is stale."""

    state: IdempotencyState
    result_id: str = ""
    wait: int = 0


@dataclass(frozen=True, slots=True)
class PrecheckRequest:
    """What the pre-check reads and counts in addition to the phone.

    *solved_challenge_id* is the id of a solved risk challenge, remembered as used for *solution_ttl* seconds.
    With *challenges_disabled*, no challenge is ever required.
    """

    address: ClientIpQuota | None = None
    guards: tuple[ConversionScope, ...] = ()
    solved_challenge_id: str = ""
    solution_ttl: int = 0
    challenges_disabled: bool = False
    claim: IdempotencyRecord | None = None


@dataclass(frozen=True, slots=True)
class CodeAttempt:
    """One submitted code: its *digests* by key id, and the *code_types* whose form it has.

    *at* is the unix second of the call. *idempotency_fingerprint* (16 bytes) identifies a call that may be
    repeated; it is empty for a call without an idempotency key.
    """

    digests: Mapping[str, bytes] = field(repr=False)
    code_types: frozenset[CodeType]
    at: int
    idempotency_fingerprint: bytes = b""


@dataclass(frozen=True, slots=True)
class Approval:
    """An approved verification.

    *failed_attempts* counts the wrong codes before the right one. *approved_at* (unix seconds) is the time of
    the first call with the right code, also when that call is repeated. *seconds_to_verify* is the time since
    the verification was created, *route* the route of its newest SMS.
    """

    purpose: str
    failed_attempts: int
    approved_at: int
    replayed: bool = False
    seconds_to_verify: float = 0
    route: str = ""


@dataclass(frozen=True, slots=True)
class QuotaReservation:
    """Where the first flush has counted an SMS that has not gone out yet: at an address, by the guard."""

    address: ClientIpQuota | None = None
    guards: tuple[ConversionScope, ...] = ()


@dataclass(frozen=True, slots=True)
class PrecheckResult:
    """Result of the pre-check: whether an SMS may be sent now, and whether the phone is known.

    *is_trusted*: the requester verified this phone recently, or a server recognizes the person's device.
    *now* (unix seconds, of the store's clock), *purpose* and *last_send* are those of a verification.
    *is_restricted*: after many consecutive failures the phone gets one attempt a day, after a risk challenge.
    *rejection* is the error that forbids an SMS now; of several, the one with the longest wait.
    *risk_reasons* name what requires a risk challenge. *challenge_accepted*: the solution was not used
    before. *reservation* is where the SMS is already counted.
    """

    known: bool
    now: float = 0
    purpose: str = ""
    last_send: SmsSend | None = None
    is_restricted: bool = False
    rejection: OtpError | None = None
    risk_reasons: tuple[str, ...] = ()
    guards: tuple[ConversionStats, ...] = ()
    reservation: QuotaReservation = QuotaReservation()
    challenge_accepted: bool = False
    claim: IdempotencyCheck | None = None
    is_trusted: bool = False


@dataclass(frozen=True, slots=True)
class NewVerification:
    """A verification to open. *ttl* in seconds; *digest* and *salt* are all that is kept of the code."""

    verification_hash: str
    client: str
    purpose: str
    code_type: CodeType
    kid: str
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    ttl: int
    attempts: int
    sends: int


@dataclass(frozen=True, slots=True)
class ResendReservation:
    """A verification with a slot for another send of the same code."""

    verification: Verification
    kid: str
    salt: bytes = field(repr=False)


class SendDisposition(StrEnum):
    """How a send ended, as the store books it."""

    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    NOT_SENT = "withdrawn"
    """Nothing was sent and it is not the number's fault: the slot is given back."""
    RECIPIENT_REJECTED = "rejected"
    """Nothing was sent, the number is at fault: the verification is canceled."""
    RATE_LIMITED = "throttled"
    """Nothing was sent, the provider takes no more for this number until its window ends."""


@dataclass(frozen=True, slots=True)
class SendResultRecord:
    """What the store learns of one send. *wait* (seconds) is the provider's window when throttled.

    *provider_code* is what the provider said. *ttl* (seconds) is what a resend that went out gives the
    verification to live; *taken_at* (unix seconds of
    the store's clock) is when the budgets were taken.
    """

    verification_hash: str
    number: int
    disposition: SendDisposition
    route: str = ""
    wait: int = 0
    ttl: int = 0
    taken_at: float = 0
    provider_code: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What somebody who knows says of one send: *delivery* is ACCEPTED, DELIVERED or UNDELIVERED.

    *reason* is the provider's code for it.
    """

    tag: str
    verification_hash: str
    number: int
    delivery: DeliveryStatus
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryUpdate:
    """The send that a report was about; *changed* is whether it told anything new."""

    client: str
    purpose: str
    route: str
    changed: bool


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


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A hosted page as the store keeps it; *version* counts how often it was written."""

    version: int
    sealed: bytes = field(repr=False)


class PageEvent(StrEnum):
    """What hosted pages are counted for."""

    CREATED = "created"
    OPENED = "opened"
    """The first form was sent; loading a page does not open it."""


@dataclass(frozen=True, slots=True)
class PageQuota:
    """How many hosted pages a client may have in ten minutes, and how many of them from one address."""

    total: int
    per_address: int


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


@dataclass(frozen=True, slots=True)
class ChallengeSubject:
    """Whom a risk challenge is for: a client and a phone's tag."""

    client: str
    phone: str


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

    def look_at(self, guards: Sequence[ConversionScope]) -> None:
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


class SendStatus(StrEnum):
    """What a provider's answer means."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class FailureCause(StrEnum):
    """Whose fault a refusal is."""

    ACCOUNT = "route"
    """Our account, configuration or request: another route may do better."""
    PROVIDER = "provider"
    """Down or throttling, and certainly not sent: another route may do better."""
    RECIPIENT = "number"
    """This number gets no SMS anywhere."""
    RECIPIENT_RATE_LIMIT = "limit"
    """The provider's flow control for this number."""


@dataclass(frozen=True, slots=True)
class SendResult:
    """How one send ended. *cause* is set for refusals, *retry_after* (seconds) for limits and busy providers.

    *provider_code* and *request_id* are for the log only.
    """

    status: SendStatus
    route: str = ""
    cause: FailureCause | None = None
    retry_after: int = 0
    provider_code: str = ""
    request_id: str = ""
    biz_id: str = ""


class DeliveryLookupStatus(StrEnum):
    """What asking a provider about one send has found."""

    ACCEPTED = "accepted"
    """It was sent; whether it arrived is not known yet."""
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    NOT_FOUND = "absent"
    """The provider knows of no such send."""
    NO_ANSWER = "silent"
    """The provider was asked and did not say."""
    UNSUPPORTED = "unasked"
    """Nobody can be asked: the provider answers no such questions."""


@dataclass(frozen=True, slots=True)
class DeliveryLookup:
    """A question about one send to *phone*, which began at *began_at* (unix seconds).

    *matches* tells whether an out id is this send's. *route* is empty when it is not known which one it took;
    *client* and *purpose* then tell which may have.
    """

    phone: Phone
    client: str
    purpose: str
    route: str
    began_at: float
    matches: Callable[[str], bool] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeliveryLookupResult:
    """The answer to an inquiry; *reason* is the provider's code for what became of the SMS."""

    status: DeliveryLookupStatus
    reason: str = ""


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

    def serves(self, client: str, purpose: str) -> bool:
        """Tell whether any route sends for *client* and *purpose*."""
        ...

    def permit(self) -> SendPermit:
        """Return the right to one send.

        Raises:
            ProviderUnavailable: too many sends are in flight.
        """
        ...

    def inquire(self, inquiry: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        """Ask what became of a send, until *deadline* (monotonic seconds). Never raises."""
        ...


# ── replies ──


@dataclass(frozen=True, slots=True)
class InboundSms:
    """An SMS from a phone to us. *id* is the same whenever the same SMS is told of again.

    *phone* in E.164 where that is known, *sent_at* in unix seconds, *sender* the number that it was sent to.
    """

    id: str
    phone: str = field(repr=False)
    content: str = field(repr=False)
    sender: str
    sent_at: float
    sign_name: str = ""


class InboundSmsForwarder(Protocol):
    """Where replies go."""

    def forward(self, uplink: InboundSms, seconds: float) -> bool:
        """Pass *uplink* on within *seconds*; False when nobody has taken it. Never raises."""
        ...
