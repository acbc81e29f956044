"""Verifications: their states, and what may be told of them to whom."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from otp_service.domain.codes import CodeType
from otp_service.domain.limits import MAX_VERIFICATION_LIFETIME, MIN_LIFETIME_AFTER_RESEND

ENDED_RETENTION = 900
"""Seconds for which the holder of the id is told what became of an ended verification."""

SEND_ABANDONED_AFTER = 30
"""Seconds after which a send without an outcome has none to come: who made it is gone."""


class Status(StrEnum):
    """Where a verification stands. `expired` is computed from times, never written."""

    PENDING = "pending"
    APPROVED = "approved"
    EXHAUSTED = "exhausted"
    CANCELED = "canceled"
    EXPIRED = "expired"


class DeliveryStatus(StrEnum):
    """What is known of one send; reports only ever move it forward."""

    SENDING = "sending"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True)
class SmsSend:
    """One SMS of a verification: its *number* from 1, the route's name, when it began (unix seconds).

    *reason* is the provider's code for why it was not delivered.
    """

    number: int
    delivery: DeliveryStatus
    at: float
    route: str
    reason: str = ""

    def has_unknown_outcome(self, now: float) -> bool:
        """Tell whether its outcome is not known at *now*, and nobody is about to tell it."""
        if self.delivery is DeliveryStatus.SENDING:
            return now - self.at >= SEND_ABANDONED_AFTER
        return self.delivery is DeliveryStatus.UNKNOWN


@dataclass(frozen=True, slots=True)
class Verification:
    """A verification as the store knows it at *now*. Times are unix seconds, of the store's clock.

    *verification_hash* stands for its id, which the store is never told. *resend_at* is when the next SMS may
    be asked for, None when this verification gets no more; *sends_left* and *resend_at* are the minimum over
    all limits that were touched. *max_sends* is what the verification itself allows.
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
        """Whole seconds of life left, rounded down: never promise more than there is."""
        return max(0, math.floor(self.expires_at - self.now))

    @property
    def resend_in(self) -> int | None:
        """Whole seconds until a resend may be asked for, rounded up."""
        return None if self.resend_at is None else max(0, math.ceil(self.resend_at - self.now))

    def with_max_sends(self, sends_left: int) -> Verification:
        """Return it with at most *sends_left*: a budget may leave fewer than the phone's own limits."""
        left = min(self.sends_left, sends_left)
        at = self.resend_at if left else None
        if (left, at) == (self.sends_left, self.resend_at):
            return self
        return replace(self, sends_left=left, resend_at=at)

    def without_shared_limits(self, cooldown: Sequence[int]) -> Verification:
        """Return it with the *sends_left* and *resend_at* that follow from its own sends alone.

        The others would tell a stranger what else was sent to this phone. *cooldown*: the seconds after each
        send.
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
        """Whether nobody knows if its newest SMS went out. Who typed the right code has got it."""
        newest = self.sends[-1] if self.sends else None
        return (
            newest is not None and self.status is not Status.APPROVED and newest.has_unknown_outcome(self.now)
        )

    @property
    def delivery(self) -> DeliveryStatus:
        """What is known of the newest send."""
        return self.sends[-1].delivery if self.sends else DeliveryStatus.SENDING


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

    phone_hash: str
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
