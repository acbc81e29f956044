"""Verifications: their states and sends, and the values that the store takes and returns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from otp_service.domain.codes import CodeType
from otp_service.domain.limits import MAX_VERIFICATION_LIFETIME, MIN_LIFETIME_AFTER_RESEND

ENDED_RETENTION = 900
"""Seconds for which the state of an ended verification can still be queried by its id."""

SEND_ABANDONED_AFTER = 30
"""Seconds after which a send without a result is abandoned: the process that started it is gone."""


class Status(StrEnum):
    """The state of a verification. `expired` is computed from times and never stored."""

    PENDING = "pending"
    APPROVED = "approved"
    EXHAUSTED = "exhausted"
    CANCELED = "canceled"
    EXPIRED = "expired"


class DeliveryStatus(StrEnum):
    """The delivery status of one send. Reports only move it forward."""

    SENDING = "sending"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True)
class SmsSend:
    """One SMS of a verification: its *number* (from 1), start *at* (unix seconds) and *route* name.

    *reason* is the provider's error code if it was not delivered.
    """

    number: int
    delivery: DeliveryStatus
    at: float
    route: str
    reason: str = ""

    def has_unknown_outcome(self, now: float) -> bool:
        """Return whether the outcome is unknown at *now* and no call is about to record it."""
        if self.delivery is DeliveryStatus.SENDING:
            return now - self.at >= SEND_ABANDONED_AFTER
        return self.delivery is DeliveryStatus.UNKNOWN


@dataclass(frozen=True, slots=True)
class Verification:
    """A verification as stored at *now*. Times are unix seconds of the store's clock.

    *verification_hash* is the keyed hash of its id, which the store never sees. *resend_at* is the time from
    which the next SMS may be requested, or None if there will be no further SMS. *sends_left* and *resend_at*
    take all limits that apply into account; *max_sends* is the limit of the verification itself.
    """

    verification_hash: str
    client: str
    purpose: str
    status: Status
    code_type: CodeType
    issued_at: float
    expires_at: float
    attempts_left: int
    sends_left: int
    resend_at: float | None
    sends: tuple[SmsSend, ...]
    now: float
    max_sends: int = 0

    @property
    def expires_in(self) -> int:
        """Whole seconds until the verification expires, rounded down."""
        return max(0, math.floor(self.expires_at - self.now))

    @property
    def resend_in(self) -> int | None:
        """Whole seconds until a resend may be requested, rounded up."""
        return None if self.resend_at is None else max(0, math.ceil(self.resend_at - self.now))

    def with_max_sends(self, sends_left: int) -> Verification:
        """Return a copy with at most *sends_left*: a budget may allow fewer sends than the phone's limits."""
        left = min(self.sends_left, sends_left)
        at = self.resend_at if left else None
        if (left, at) == (self.sends_left, self.resend_at):
            return self
        return replace(self, sends_left=left, resend_at=at)

    def without_shared_limits(self, cooldown: Sequence[int]) -> Verification:
        """Return a copy with *sends_left* and *resend_at* computed from its own sends alone.

        The values under all limits would reveal what else was sent to this phone. *cooldown* are the seconds
        to wait after each send.
        """
        left = max(0, self.max_sends - len(self.sends))
        if not left or not self.sends or self.status is not Status.PENDING:
            return replace(self, sends_left=0, resend_at=None)
        wait = cooldown[min(len(self.sends), len(cooldown)) - 1]
        at = max(self.now, self.sends[-1].at + wait)
        if (
            at >= self.expires_at
            or at > self.issued_at + MAX_VERIFICATION_LIFETIME - MIN_LIFETIME_AFTER_RESEND
        ):
            return replace(self, sends_left=0, resend_at=None)
        return replace(self, sends_left=left, resend_at=at)

    @property
    def has_unknown_outcome(self) -> bool:
        """True if it is unknown whether the newest SMS was sent. An approval proves that it was."""
        newest = self.sends[-1] if self.sends else None
        return (
            newest is not None and self.status is not Status.APPROVED and newest.has_unknown_outcome(self.now)
        )

    @property
    def delivery(self) -> DeliveryStatus:
        """The delivery status of the newest send."""
        return self.sends[-1].delivery if self.sends else DeliveryStatus.SENDING


@dataclass(frozen=True, slots=True)
class CodeAttempt:
    """One submitted code: its *digests* by key id, and the *code_types* that it matches.

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
class NewVerification:
    """A verification to create. *ttl* is in seconds. Only *digest* and *salt* of the code are stored."""

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
    """A verification with a reservation for another send of the same code."""

    verification: Verification
    kid: str
    salt: bytes = field(repr=False)


class SendDisposition(StrEnum):
    """The result of a send, as the store records it. The values are part of the store's format."""

    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    NOT_SENT = "withdrawn"
    """Nothing was sent, for a reason other than the number: the reservation is released."""
    RECIPIENT_REJECTED = "rejected"
    """Nothing was sent because of the number: the verification is canceled."""
    RATE_LIMITED = "throttled"
    """Nothing was sent: the provider accepts no further SMS for this number until its window ends."""


@dataclass(frozen=True, slots=True)
class SendResultRecord:
    """The result of one send, for the store to record.

    *wait* is the length of the provider's window in seconds if the send was rate limited. *provider_code* is
    the provider's error code. *ttl* (seconds) is the new lifetime of the verification after a successful
    resend. *taken_at* (unix seconds of the store's clock) is the time at which the budgets were charged.
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
    """A report about one send from the provider: *delivery* is ACCEPTED, DELIVERED or UNDELIVERED.

    *reason* is the provider's error code, if any.
    """

    phone_hash: str
    verification_hash: str
    number: int
    delivery: DeliveryStatus
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryUpdate:
    """The send that a report refers to; *changed* says whether the report changed its status."""

    client: str
    purpose: str
    route: str
    changed: bool
