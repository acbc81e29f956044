"""Idempotency keys: what the store keeps of a call, and the progress of the first call with a key."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ABANDONED_SECONDS = 10.0
"""After so long, a call in progress is considered abandoned: its process has died, or Redis is very slow.

A repetition then returns the verification, with an unknown outcome.
"""

ABANDONED_MARGIN = 4.0
"""Seconds that must also have passed since the deadline of the call."""


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """What the store keeps of one call with an idempotency key.

    *key_hash* is the keyed hash of the key, *fingerprint* (16 bytes) that of the payload. *result_id*
    identifies the result: it is the seed of a new verification's id, or the hash of a verification's id.
    *abandoned_after* is the number of seconds after which a call that is still in progress is considered
    abandoned.
    """

    key_hash: str
    fingerprint: bytes
    result_id: str = ""
    abandoned_after: float = ABANDONED_SECONDS


class IdempotencyState(StrEnum):
    """Progress of the first call with an idempotency key. The values are part of the store's format."""

    NEW = "new"
    """This call is the first."""
    IN_PROGRESS = "busy"
    DONE = "done"
    ABANDONED = "stale"
    """The first call did not finish and its process is gone; this call takes over the record."""
    PAYLOAD_MISMATCH = "other"
    """The first call had another payload."""


@dataclass(frozen=True, slots=True)
class IdempotencyCheck:
    """The state of an idempotency key in the store.

    *result_id* is that of the first call. *wait* is the number of seconds until a call in progress is
    considered abandoned.
    """

    state: IdempotencyState
    result_id: str = ""
    wait: int = 0
