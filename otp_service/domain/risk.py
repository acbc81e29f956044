"""Values of the pre-check: the request, the limits and statistics that apply to it, and the result."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from otp_service.domain.errors import OtpError
from otp_service.domain.idempotency import IdempotencyCheck, IdempotencyRecord
from otp_service.domain.limits import ConversionLimits, IpLimits, PhoneLimits
from otp_service.domain.verification import SmsSend


@dataclass(frozen=True, slots=True)
class ClientIpQuota:
    """The keyed hash of an end user's IP address and the limits that apply to it."""

    ip_hash: str
    limits: IpLimits = field(compare=False)


@dataclass(frozen=True, slots=True)
class PhoneKey:
    """The keyed hash of a phone and the limits that apply to it.

    *ip_hash* is the keyed hash of the end user's IP address (12 bytes; empty if unknown). *known_device* is
    true if the calling server recognizes the end user's device or session.
    """

    phone_hash: str
    limits: PhoneLimits
    ip_hash: bytes = b""
    known_device: bool = False


@dataclass(frozen=True, slots=True)
class ConversionScope:
    """A scope in which sent and verified SMS are counted: its *kind* (such as `country`) and *name*."""

    kind: str = field(compare=False)
    name: str
    limits: ConversionLimits = field(compare=False)
    is_broad: bool = field(default=False, compare=False)


class ConversionState(IntEnum):
    """State of a narrow scope. The broad scopes do not count the SMS of a narrow scope that is not CALM."""

    CALM = 2
    SUSPECT = 3
    TRIPPED = 4


@dataclass(frozen=True, slots=True)
class ConversionStats:
    """What one scope has counted in a day.

    *level* is 0 below the threshold. For a narrow scope, level 1 requires risk challenges and level 2 blocks
    SMS; *is_suspect* requires challenges while a broad scope is above level 0. For a broad scope, levels 1
    and 2 make the narrow scopes stricter and level 3 requires challenges for all requests. *state* is the
    state of a narrow scope that was last reported to its broad scopes.
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
    """Where the pre-check has counted an SMS that is not sent yet: an IP address and conversion scopes."""

    ip_quota: ClientIpQuota | None = None
    conversion_scopes: tuple[ConversionScope, ...] = ()


@dataclass(frozen=True, slots=True)
class PrecheckRequest:
    """What the pre-check reads and counts in addition to the phone.

    *solved_challenge_id* is the id of a solved risk challenge, which the store marks as used for
    *solution_ttl* seconds. *solution_level* is its level, or 0; the store does not read it. With
    *challenges_disabled*, no challenge is ever required.
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

    *is_trusted*: the caller's IP address verified this phone recently, or a server recognizes the device.
    *now* (unix seconds, of the store's clock), *purpose* and *last_send* are set only for a resend.
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
    """The client and the phone (keyed hash) that a risk challenge is issued for."""

    client: str
    phone_hash: str
