"""Knocks: the first flush of a request, all that it touches in one round trip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from otp_service.domain.errors import OtpError
from otp_service.domain.idempotency import IdempotencyRecord
from otp_service.domain.risk import (
    ClientIpQuota,
    ConversionScope,
    ConversionStats,
    PrecheckRequest,
    PrecheckResult,
    QuotaReservation,
)
from otp_service.store import decoding, encoding, keys
from otp_service.store.backend import Argument
from otp_service.store.scripts import Call

CLAIM_SECONDS = 10
"""Longer than any call takes; who has not ended its claim by then is gone."""

CLAIM_KEPT_SECONDS = 3600

Flush = Callable[[Sequence[Call]], list[list[Any]]]


def run_precheck(flush: Flush, tag: str, peek: Call, touched: PrecheckRequest) -> PrecheckResult:
    """Run *peek* of the phone *tag* and whatever else is *touched*, and tell what all of that says."""
    calls = [peek]
    if touched.ip_quota:
        solved = bool(touched.solved_challenge_id) or touched.challenges_disabled
        calls.append(_address_call(touched.ip_quota, tag, solved=solved))
    calls += [_guard_call(scope) for scope in touched.conversion_scopes]
    if touched.solved_challenge_id:
        calls.append(_solution_call(tag, touched))
    if touched.idempotency:
        calls.append(claim_call(touched.idempotency))
    told = iter(flush(calls))
    standing = decoding.precheck_result(next(told))
    refusal, suspicions = _address_says(next(told)) if touched.ip_quota else (None, ())
    errors = [error for error in (standing.rejection, refusal) if error]
    return replace(
        standing,
        rejection=decoding.longest_wait(errors) if errors else None,
        risk_reasons=suspicions,
        conversions=tuple(_guard(scope, next(told)) for scope in touched.conversion_scopes),
        reservation=QuotaReservation(
            None if refusal or suspicions else touched.ip_quota,
            tuple(scope for scope in touched.conversion_scopes if not scope.is_broad),
        ),
        challenge_accepted=bool(touched.solved_challenge_id) and next(told)[0] == b"ok",
        idempotency=decoding.idempotency_check(next(told)) if touched.idempotency else None,
    )


def release_calls(tag: str, counted: QuotaReservation) -> list[Call]:
    """Return the calls that take back what a knock has counted for the phone *tag*."""
    calls = [_guard_call(scope, sent=-1) for scope in counted.conversion_scopes]
    if counted.ip_quota:
        address = keys.ip_log(counted.ip_quota.ip_hash)
        calls.append(Call("ip_release", [address], [encoding.short_phone_hash(tag)]))
    return calls


def claim_call(claim: IdempotencyRecord) -> Call:
    """Return the call that claims an idempotency key."""
    times = CLAIM_SECONDS * 1000, CLAIM_KEPT_SECONDS * 1000
    return Call(
        "idempotency_begin",
        [keys.idempotency_record(claim.key_hash)],
        [claim.fingerprint, claim.result_id, *times],
    )


def end_call(claim: IdempotencyRecord, what: str) -> Call:
    """Return the call that ends a claim, with *what* it has led to, or empty."""
    return Call(
        "idempotency_finish",
        [keys.idempotency_record(claim.key_hash)],
        [claim.fingerprint, what, CLAIM_KEPT_SECONDS * 1000],
    )


def _address_call(address: ClientIpQuota, tag: str, *, solved: bool) -> Call:
    limits = encoding.ip_limits(address.limits)
    rest: list[Argument] = [limits, encoding.short_phone_hash(tag), int(solved)]
    return Call("ip_reserve", [keys.ip_log(address.ip_hash)], rest)


def _guard_call(scope: ConversionScope, sent: int = 1) -> Call:
    """Count in a narrow scope, or read a broad one: that counts what has gone out, and counts it later."""
    if scope.is_broad:
        return broad_call(scope)
    return Call(
        "conversion_stats",
        [keys.conversion_stats(scope.name)],
        [sent, 0, *encoding.narrow_limits(scope.limits), 0],
    )


def broad_call(scope: ConversionScope, sent: int = 0, verified: int = 0, *more: Argument) -> Call:
    """Return the call that counts in a broad scope; *more*: see `conversion_stats_broad.lua`."""
    told = more or (0, 1, b"")
    rest = [sent, verified, *told, *encoding.broad_limits(scope.limits)]
    return Call("conversion_stats_broad", [keys.conversion_stats(scope.name)], rest)


def _solution_call(tag: str, touched: PrecheckRequest) -> Call:
    return Call(
        "redeem", [keys.used_challenge(tag, touched.solved_challenge_id)], ["", touched.solution_ttl * 1000]
    )


def _address_says(reply: Sequence[Any]) -> tuple[OtpError | None, tuple[str, ...]]:
    """Return why an address gets no SMS now, and what asks for a risk challenge first."""
    if reply[0] == b"challenge":
        return None, (reply[1].decode(),)
    return decoding.rejection(reply), ()


def _guard(scope: ConversionScope, reply: Sequence[Any]) -> ConversionStats:
    read = decoding.broad_stats if scope.is_broad else decoding.narrow_stats
    return read(scope.kind, reply)
