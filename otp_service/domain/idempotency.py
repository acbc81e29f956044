"""Idempotency keys: calls that a client may repeat, and how far the first of them got."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
