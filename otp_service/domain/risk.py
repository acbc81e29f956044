"""Values of the pre-check: who asks for an SMS to which phone, what limits and statistics say about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from otp_service.domain.errors import OtpError
from otp_service.domain.idempotency import IdempotencyCheck, IdempotencyRecord
from otp_service.domain.limits import ConversionLimits, IpLimits, PhoneLimits
from otp_service.domain.verification import SmsSend


@dataclass(frozen=True, slots=True)
class ClientIpQuota:
    """The place of one requester's address in the store: its tag and its limits."""

    ip_hash: str
    limits: IpLimits = field(compare=False)


@dataclass(frozen=True, slots=True)
class PhoneKey:
    """The place of one phone in the store: its tag, its limits, and who asks (12 bytes, empty: not known).

    *known_device*: a server recognises the device or session of the person who asks.
    """

    phone_hash: str
    limits: PhoneLimits
    ip_hash: bytes = b""
    known_device: bool = False


@dataclass(frozen=True, slots=True)
class ConversionScope:
    """One place where sent and verified are counted: its *kind*, like `country`, and its key's *name*."""

    kind: str = field(compare=False)
    name: str
    limits: ConversionLimits = field(compare=False)
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
class QuotaReservation:
    """Where the first flush has counted an SMS that has not gone out yet: at an address, by the guard."""

    ip_quota: ClientIpQuota | None = None
    conversion_scopes: tuple[ConversionScope, ...] = ()


@dataclass(frozen=True, slots=True)
class PrecheckRequest:
    """What the pre-check reads and counts in addition to the phone.

    *solved_challenge_id* is the id of a solved risk challenge, remembered as used for *solution_ttl* seconds;
    *solution_level* is its level or 0; the store does not read it. With *challenges_disabled*, no
    challenge is ever required.
    """

    ip_quota: ClientIpQuota | None = None
    conversion_scopes: tuple[ConversionScope, ...] = ()
    solved_challenge_id: str = ""
    solution_ttl: int = 0
    solution_level: int = 0
    challenges_disabled: bool = False
    idempotency: IdempotencyRecord | None = None


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
    conversions: tuple[ConversionStats, ...] = ()
    reservation: QuotaReservation = QuotaReservation()
    challenge_accepted: bool = False
    idempotency: IdempotencyCheck | None = None
    is_trusted: bool = False


@dataclass(frozen=True, slots=True)
class ChallengeSubject:
    """Whom a risk challenge is for: a client and a phone's tag."""

    client: str
    phone_hash: str
