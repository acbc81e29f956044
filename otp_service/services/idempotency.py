"""Idempotency keys: a repeated call is recognized by its key and payload and gets the same response.

A rejected call frees its key, so that the caller can try again with the same key.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field

from otp_service.domain.crypto import Keyring
from otp_service.domain.errors import (
    IdempotencyInProgress,
    IdempotencyKeyReused,
    OtpError,
    StoreUnavailable,
)
from otp_service.domain.idempotency import (
    ABANDONED_MARGIN,
    ABANDONED_SECONDS,
    IdempotencyCheck,
    IdempotencyRecord,
    IdempotencyState,
)
from otp_service.services.interfaces import Store

SERVER = "server"
"""The caller of every call with a secret key: all holders of a client's secret keys are the same caller."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The *key* of a call that its caller may repeat, and the *payload* as it was sent."""

    key: str
    payload: bytes = field(repr=False)


def browser_at(client_ip_hash: str) -> str:
    """Return the caller for a publishable key: the end user's address, because anyone can copy the key."""
    return f"browser:{client_ip_hash}"


def record_for(
    keyring: Keyring,
    client: str,
    key: IdempotencyKey,
    *,
    caller: str,
    call: str,
    deadline: float,
    result_id: str = "",
) -> IdempotencyRecord:
    """Return the idempotency record of one *call*, whose SMS takes at most *deadline* seconds.

    The same key has separate records for different clients, callers and calls. *caller* is `SERVER` or the
    result of `browser_at`.
    """
    scope = (client, caller, call, key.key)
    return IdempotencyRecord(
        key_hash=keyring.idempotency_key_hash(*scope),
        fingerprint=keyring.fingerprint(*scope, key.payload),
        result_id=result_id,
        abandoned_after=max(ABANDONED_SECONDS, deadline + ABANDONED_MARGIN),
    )


def raise_if_blocked(check: IdempotencyCheck) -> None:
    """Return normally for the first call with a key, and for a repetition of a call that has ended.

    Raises:
        IdempotencyInProgress: the first call is still running.
        IdempotencyKeyReused: the first call had another payload.
    """
    if check.state is IdempotencyState.IN_PROGRESS:
        raise IdempotencyInProgress(check.wait)
    if check.state is IdempotencyState.PAYLOAD_MISMATCH:
        raise IdempotencyKeyReused


def idempotent(store: Store, record: IdempotencyRecord | None) -> AbstractContextManager[None]:
    """Begin *record*, run the block, then finish the record or free its key. None only runs the block.

    Raises:
        IdempotencyInProgress, IdempotencyKeyReused: see `raise_if_blocked`; the block does not run.
        StoreUnavailable: the record could not be begun; the block does not run.
    """
    return _idempotent(store, record) if record else nullcontext()


@contextmanager
def _idempotent(store: Store, record: IdempotencyRecord) -> Iterator[None]:
    raise_if_blocked(store.begin_idempotent(record))
    with _freed_if_refused(store, record):
        yield
    finish(store, record)


def freed_if_refused(store: Store, record: IdempotencyRecord | None) -> AbstractContextManager[None]:
    """Free the key of *record*, which the pre-check has begun, if the block raises an `OtpError`."""
    return _freed_if_refused(store, record) if record else nullcontext()


@contextmanager
def _freed_if_refused(store: Store, record: IdempotencyRecord) -> Iterator[None]:
    try:
        yield
    except OtpError:
        finish(store, record, success=False)
        raise


def finish(store: Store, record: IdempotencyRecord | None, *, success: bool = True) -> None:
    """Keep the result of *record*, or free its key. If the store fails, the record expires by its TTL."""
    if record:
        with suppress(StoreUnavailable):
            store.finish_idempotent(record, record.result_id if success else "")
