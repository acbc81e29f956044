"""Idempotency keys: calls that a client may repeat, and how far the first of them got."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """What the store keeps of one call with an idempotency key.

    *key_hash* stands for the key, *fingerprint* (16 bytes) for the payload. *result_id* leads to the result:
    it is the seed of a new verification's id, or the hash of a verification's id.
    """

    key_hash: str
    fingerprint: bytes
    result_id: str = ""


class IdempotencyState(StrEnum):
    """How far the first call with an idempotency key got. The values are part of the store's format."""

    NEW = "new"
    """This call is the first."""
    IN_PROGRESS = "busy"
    DONE = "done"
    ABANDONED = "stale"
    """The first call never ended and its process is gone; this call takes the record over."""
    PAYLOAD_MISMATCH = "other"
    """The first call had another payload."""


@dataclass(frozen=True, slots=True)
class IdempotencyCheck:
    """What the store says of an idempotency key.

    *result_id* is that of the first call. *wait* is the number of seconds until a call in progress counts as
    abandoned.
    """

    state: IdempotencyState
    result_id: str = ""
    wait: int = 0
