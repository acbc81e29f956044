"""Repeats: calls that bear an idempotency key, told from each other by their payload."""

from __future__ import annotations

from dataclasses import dataclass, field

from otp_service.domain.errors import IdempotencyInProgress, IdempotencyKeyReused
from otp_service.domain.idempotency import IdempotencyCheck, IdempotencyRecord, IdempotencyState
from otp_service.domain.keyring import Keyring


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """What a caller says about a call that it may repeat: its *key*, and the *payload* as it was sent."""

    key: str
    payload: bytes = field(repr=False)


SERVER = "server"
"""The caller of every call with a secret key: whoever holds one of a client's secret keys is the client."""


def browser_at(client_ip_hash: str) -> str:
    """Return the caller of a call with a publishable key, which anybody can copy: the requester's address."""
    return f"browser:{client_ip_hash}"


def record_for(
    keyring: Keyring, client: str, repeat: IdempotencyKey, *, caller: str, call: str, what: str = ""
) -> IdempotencyRecord:
    """Return the idempotency record of one *call*; its key means nothing to another client, caller or call.

    *caller* is `SERVER` or a `browser_at` some address.
    """
    scope = (client, caller, call, repeat.key)
    return IdempotencyRecord(
        tag=keyring.claim_tag(*scope), fingerprint=keyring.fingerprint(*scope, repeat.payload), result_id=what
    )


def raise_if_blocked(reading: IdempotencyCheck) -> None:
    """Let a call pass that is the first of its key, or repeats one that has ended.

    Raises:
        IdempotencyInProgress: the first one still runs.
        IdempotencyKeyReused: the first one had another payload.
    """
    if reading.state is IdempotencyState.IN_PROGRESS:
        raise IdempotencyInProgress(reading.wait)
    if reading.state is IdempotencyState.PAYLOAD_MISMATCH:
        raise IdempotencyKeyReused
