"""Repeats: calls that bear an idempotency key, told from each other by their payload. Touches nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from otp_service.errors import IdempotencyInProgress, IdempotencyKeyReused
from otp_service.keyring import Keyring
from otp_service.ports import Claim, ClaimReading, ClaimState


@dataclass(frozen=True, slots=True)
class Repeat:
    """What a caller says about a call that it may repeat: its *key*, and the *payload* as it was sent."""

    key: str
    payload: bytes = field(repr=False)


def claim(keyring: Keyring, client: str, call: str, repeat: Repeat, what: str = "") -> Claim:
    """Return the claim of *client*'s *call*. No other client, and no other call, can meet it."""
    return Claim(
        tag=keyring.claim_tag(client, call, repeat.key),
        fingerprint=keyring.fingerprint(client, call, repeat.key, repeat.payload),
        what=what,
    )


def admit(reading: ClaimReading) -> None:
    """Let a call pass that is the first of its key, or repeats one that has ended.

    Raises:
        IdempotencyInProgress: the first one still runs.
        IdempotencyKeyReused: the first one had another payload.
    """
    if reading.state is ClaimState.BUSY:
        raise IdempotencyInProgress(reading.wait)
    if reading.state is ClaimState.OTHER:
        raise IdempotencyKeyReused
