"""The ports: what the service asks of the outside, and the values that pass through them. Touches nothing.

A room implements a port; `app.py` joins them. Success is a value, failure raises an error of `errors.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from types import TracebackType
from typing import Protocol, Self

from otp_service.codes import CodeType
from otp_service.errors import OtpError
from otp_service.limits import AddressLimits, Budget, GuardLimits, PhoneLimits
from otp_service.messages import Sms
from otp_service.phone import Phone
from otp_service.verification import Delivery, Send, Verification


class Clock(Protocol):
    """The time of this machine; the store has a clock of its own."""

    def now(self) -> float:
        """Return unix seconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, for deadlines."""
        ...


class Events(Protocol):
    """Where the service says what happened: logs and metrics."""

    def emit(self, event: str, **facts: object) -> None:
        """Record *event* with its *facts*; facts are tags, masks, names and numbers, never secrets."""
        ...


class Notes(Protocol):
    """What is known of the call at hand, for its one line in the log."""

    def note(self, **facts: object) -> None:
        """Add *facts* to what is known; the rules are those of events."""
        ...


# ── the store ──


@dataclass(frozen=True, slots=True)
class PhoneSlot:
    """The place of one phone in the store: its tag, its limits, and who asks (12 bytes, empty: not known).

    *known_device*: a server recognises the device or session of the person who asks.
    """

    tag: str
    limits: PhoneLimits
    requester: bytes = b""
    known_device: bool = False


@dataclass(frozen=True, slots=True)
class AddressSlot:
    """The place of one requester's address in the store: its tag and its limits."""

    tag: str
    limits: AddressLimits = field(compare=False)


@dataclass(frozen=True, slots=True)
class GuardScope:
    """One place where sent and verified are counted: its *kind*, like `country`, and its key's *name*."""

    kind: str = field(compare=False)
    name: str
    limits: GuardLimits = field(compare=False)
    is_broad: bool = field(default=False, compare=False)


class GuardState(IntEnum):
    """How a narrow scope stands; one that is not calm accounts for its SMS, and the broad ones do not."""

    CALM = 2
    SUSPECT = 3
    TRIPPED = 4


@dataclass(frozen=True, slots=True)
class GuardReading:
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
    state: GuardState = GuardState.CALM


@dataclass(frozen=True, slots=True)
class Claim:
    """An idempotency key of one client's call: *tag* names it, *fingerprint* (16 bytes) is the payload's.

    *what* is what its success is told by: the seed of a new verification's id, or a verification's tag.
    """

    tag: str
    fingerprint: bytes
    what: str = ""


class ClaimState(StrEnum):
    """How far the call got that claimed an idempotency key first."""

    NEW = "new"
    """This one is the first."""
    BUSY = "busy"
    DONE = "done"
    STALE = "stale"
    """It was never ended, and who made it is gone; the claim is now this call's."""
    OTHER = "other"
    """It had another payload."""


@dataclass(frozen=True, slots=True)
class ClaimReading:
    """What a claim found. *what* is the first call's, *wait* the seconds until a BUSY one is stale."""

    state: ClaimState
    what: str = ""
    wait: int = 0


@dataclass(frozen=True, slots=True)
class Knock:
    """What the first flush touches beside the phone.

    *solution* is the id of a risk challenge that was solved, and *solution_ttl* the seconds to remember it.
    *unchallenged*: nobody is asked to solve any.
    """

    address: AddressSlot | None = None
    guards: tuple[GuardScope, ...] = ()
    solution: str = ""
    solution_ttl: int = 0
    unchallenged: bool = False
    claim: Claim | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One submitted code: its *digests* by key id, and the *shapes* of which it could be.

    It was submitted at unix second *at* by the call *id* (16 bytes, empty if it is never repeated).
    """

    digests: Mapping[str, bytes] = field(repr=False)
    shapes: frozenset[CodeType]
    at: int
    id: bytes = b""


@dataclass(frozen=True, slots=True)
class Approval:
    """What the right code has approved.

    *wrong* is how many wrong codes came before it; *at* (unix seconds) is the time of the call that approved
    it, which is an earlier one when that call is repeated. *age* is the seconds since its issue, *route* that
    of its newest send.
    """

    purpose: str
    wrong: int
    at: int
    replayed: bool = False
    age: float = 0
    route: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """Where the first flush has counted an SMS that has not gone out yet: at an address, by the guard."""

    address: AddressSlot | None = None
    guards: tuple[GuardScope, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What a peek at a phone tells: nothing forbids a send now, and whether the phone is known.

    *is_trusted*: the requester verified this phone lately, or a server recognises the person's device.
    *now* (unix seconds, of the store's clock), *purpose* and *last* send are those of a verification.
    *is_slow*: after so many wrong codes in a row the phone gets one attempt a day, for a risk challenge.
    *refusal* is why no SMS may go out now, the one that takes longest to pass; *suspicions* name what asks
    for a risk challenge first. *solved*: the solution shown was not used before. *counted*: where an SMS
    counts as sent already.
    """

    known: bool
    now: float = 0
    purpose: str = ""
    last: Send | None = None
    is_slow: bool = False
    refusal: OtpError | None = None
    suspicions: tuple[str, ...] = ()
    guards: tuple[GuardReading, ...] = ()
    counted: Counted = Counted()
    solved: bool = False
    claim: ClaimReading | None = None
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
class Reopened:
    """A verification with a slot for another send of the same code."""

    verification: Verification
    kid: str
    salt: bytes = field(repr=False)


class Settlement(StrEnum):
    """How a send ended, as the store books it."""

    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    WITHDRAWN = "withdrawn"
    """Nothing was sent and it is not the number's fault: the slot is given back."""
    REJECTED = "rejected"
    """Nothing was sent, the number is at fault: the verification is canceled."""
    THROTTLED = "throttled"
    """Nothing was sent, the provider takes no more for this number until its window ends."""


@dataclass(frozen=True, slots=True)
class SendRecord:
    """What the store learns of one send. *wait* (seconds) is the provider's window when throttled.

    *provider_code* is what the provider said. *ttl* (seconds) is what a resend that went out gives the
    verification to live; *taken_at* (unix seconds of
    the store's clock) is when the budgets were taken.
    """

    verification_hash: str
    number: int
    settlement: Settlement
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
    delivery: Delivery
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reported:
    """The send that a report was about; *moved* is whether it told anything new."""

    client: str
    purpose: str
    route: str
    moved: bool


class Store(Protocol):
    """The service's memory. Every method is one round trip and raises StoreUnavailable when it fails.

    It is told the tags of phones and verifications, never a number or an id. With *opener_only* a
    verification is found only for the requester that opened it; for others it is as if it were unknown.
    """

    def peek(self, slot: PhoneSlot, client: str, attempts: int, knock: Knock) -> Standing:
        """First flush of a new verification of *attempts*: ask whether an SMS may go out now."""
        ...

    def peek_resend(
        self,
        slot: PhoneSlot,
        client: str,
        verification_hash: str,
        knock: Knock,
        *,
        opener_only: bool = False,
    ) -> Standing:
        """First flush of a resend: ask whether this verification may get another SMS now.

        The refusal may be a VerificationError: unknown, or ended, or too old for a resend.
        """
        ...

    def uncount(self, tag: str, counted: Counted) -> None:
        """Give back what the first flush has *counted* for an SMS to the phone *tag* that did not go out."""
        ...

    def claim(self, claim: Claim) -> ClaimReading:
        """Claim an idempotency key alone."""
        ...

    def end_claim(self, claim: Claim, what: str = "") -> None:
        """Keep the success that a claim has led to, told by *what*; without it, free the key."""
        ...

    def open(self, slot: PhoneSlot, new: NewVerification, budgets: Mapping[Budget, int]) -> Verification:
        """Second flush: take from the budgets, open *new* and take a send slot; all or nothing.

        *budgets* maps each budget to what of it is open to this phone.

        Raises:
            LimitError, ProviderRateLimited: a limit or budget is full.
        """
        ...

    def reopen(
        self,
        slot: PhoneSlot,
        client: str,
        verification_hash: str,
        ttl: int,
        budgets: Mapping[Budget, int],
    ) -> Reopened:
        """Second flush of a resend: take from the *budgets* and take another send slot; all or nothing.

        The verification then lives for *ttl* seconds more, but never beyond `limits.MAX_LIFE`.

        Raises:
            VerificationError, LimitError, ProviderRateLimited: as `peek_resend`.
        """
        ...

    def settle(
        self,
        slot: PhoneSlot,
        client: str,
        record: SendRecord,
        refund: Sequence[Budget],
        ended: Claim | None = None,
    ) -> Verification | None:
        """Third flush: book how the send ended, give the *refund* budgets back and end a claim.

        Returns None when the verification is gone (withdrawn with its first send).
        """
        ...

    def report(self, reports: Sequence[DeliveryReport]) -> list[Reported | None]:
        """Book what became of sends; states only move forward. None for what is no longer remembered."""
        ...

    def claim_inquiry(self, tag: str, verification_hash: str, call: str) -> bool:
        """Tell whether *call* may ask a provider about this verification; not if it has just done so."""
        ...

    def attempt(
        self,
        slot: PhoneSlot,
        client: str,
        verification_hash: str,
        attempt: Attempt,
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
        self, slot: PhoneSlot, client: str, verification_hash: str, *, opener_only: bool = False
    ) -> Verification:
        """Return the verification as it stands.

        Raises:
            VerificationNotFound: unknown, or not of this phone and client.
        """
        ...

    def cancel(
        self, slot: PhoneSlot, client: str, verification_hash: str, *, opener_only: bool = False
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

    def note_unaddressed(self, client: str) -> None:
        """Remember for some days that *client* does not name the end user's address."""
        ...

    def note_unreadable_ip(self) -> None:
        """Remember for some days that a trusted proxy did not write an address."""
        ...

    def check(self) -> bool:
        """Prove that the store takes writes and never evicts; tell whether it writes down what it holds.

        Raises:
            StoreUnavailable: it does not; the message says why.
        """
        ...


@dataclass(frozen=True, slots=True)
class KeptPage:
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

    def admit(self, event: PageEvent, client: str, quota: PageQuota, address: str) -> None:
        """Count one more *event* of a page of *client*, from the *address* with that tag; empty: unknown.

        Raises:
            LimitReached: *quota* is used up; nothing was counted.
        """
        ...

    def put(self, tag: str, sealed: bytes, ttl: int) -> None:
        """Keep a new page for *ttl* seconds."""
        ...

    def get(self, tag: str) -> KeptPage | None:
        """Return a page, None when it is gone."""
        ...

    def swap(self, tag: str, version: int, sealed: bytes) -> bool:
        """Put *sealed* in the place of the page of that *version*; False when it is another by now, or gone.

        The page lives no longer for it.
        """
        ...


@dataclass(frozen=True, slots=True)
class RiskBinding:
    """Whom a risk challenge is for: a client and a phone's tag."""

    client: str
    phone: str


class RiskChallenges(Protocol):
    """Extra tasks for suspicious requesters; an operator may plug in another kind."""

    @property
    def ttl(self) -> int:
        """Seconds that a challenge lives; its id must be remembered as used at least that long."""
        ...

    def issue(self, binding: RiskBinding, level: int) -> Mapping[str, object]:
        """Return a challenge of *level* (1, or 2 for a hard one) as a browser needs it."""
        ...

    def solved(self, solution: str, binding: RiskBinding, level: int) -> str | None:
        """Return the id of the challenge that *solution* solves (at most 64 URL-safe characters).

        None when it is no valid, unexpired solution of at least that *level* for that *binding*.
        """
        ...


class Ledger(Protocol):
    """What is owed to counters that nobody waits for. Totals are shared about every second.

    What is refused by them may be exceeded by as much as happens in that time, by every process.
    """

    def record_miss(self, address: AddressSlot) -> None:
        """Count a call from *address* about a verification that does not exist, or is another phone's."""
        ...

    def seconds_until_misses_allowed(self, address: AddressSlot) -> int:
        """Return for how long *address* has used up its misses of ten minutes; 0 if it has not."""
        ...

    def sent(
        self, guards: Sequence[GuardScope], *, is_counted: bool = False, is_urgent: bool = False
    ) -> None:
        """Note an SMS that went out, in its scopes.

        *is_counted*: the first flush has counted it in the narrow ones. *is_urgent*: others should know soon.
        """
        ...

    def look_at(self, guards: Sequence[GuardScope]) -> None:
        """Note that a narrow scope of *guards* was found to have tripped."""
        ...

    def wrong_code(self) -> None:
        """Note a wrong code."""
        ...

    def approved(
        self, tag: str, wrong: int, address: AddressSlot | None, guards: Sequence[GuardScope]
    ) -> None:
        """Note that the phone *tag* was verified, after so many *wrong* codes, which were no guesses then."""
        ...

    def alarm(self) -> int:
        """Return 1 if the whole service has seen too many wrong codes today, 2 if far too many, else 0."""
        ...


# ── sending ──


class OutcomeKind(StrEnum):
    """What a provider's answer means."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Fault(StrEnum):
    """Whose fault a refusal is."""

    ROUTE = "route"
    """Our account, configuration or request: another route may do better."""
    PROVIDER = "provider"
    """Down or throttling, and certainly not sent: another route may do better."""
    NUMBER = "number"
    """This number gets no SMS anywhere."""
    LIMIT = "limit"
    """The provider's flow control for this number."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one send ended. *fault* stands with a refusal; *wait* (seconds) with a limit or a busy provider.

    *provider_code* and *request_id* are for the log only.
    """

    kind: OutcomeKind
    route: str = ""
    fault: Fault | None = None
    wait: int = 0
    provider_code: str = ""
    request_id: str = ""
    biz_id: str = ""


class Finding(StrEnum):
    """What asking a provider about one send has found."""

    ACCEPTED = "accepted"
    """It was sent; whether it arrived is not known yet."""
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    ABSENT = "absent"
    """The provider knows of no such send."""
    SILENT = "silent"
    """The provider was asked and did not say."""
    UNASKED = "unasked"
    """Nobody can be asked: the provider answers no such questions."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A question about one send to *phone*, which began at *began_at* (unix seconds).

    *is_ours* tells whether an out id is this send's. *route* is empty when it is not known which one it took;
    *client* and *purpose* then tell which may have.
    """

    phone: Phone
    client: str
    purpose: str
    route: str
    began_at: float
    is_ours: Callable[[str], bool] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to an inquiry; *reason* is the provider's code for what became of the SMS."""

    finding: Finding
    reason: str = ""


class SendPermit(Protocol):
    """The right to one send, a context manager: given back on exit."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def send(self, sms: Sms, deadline: float) -> Outcome:
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

    def inquire(self, inquiry: Inquiry, deadline: float) -> Found:
        """Ask what became of a send, until *deadline* (monotonic seconds). Never raises."""
        ...


# ── replies ──


@dataclass(frozen=True, slots=True)
class Uplink:
    """An SMS from a phone to us. *id* is the same whenever the same SMS is told of again.

    *phone* in E.164 where that is known, *sent_at* in unix seconds, *sender* the number that it was sent to.
    """

    id: str
    phone: str = field(repr=False)
    content: str = field(repr=False)
    sender: str
    sent_at: float
    sign_name: str = ""


class Uplinks(Protocol):
    """Where replies go."""

    def forward(self, uplink: Uplink, seconds: float) -> bool:
        """Pass *uplink* on within *seconds*; False when nobody has taken it. Never raises."""
        ...
