"""The pre-check of a request: everything that it reads and counts, in one round trip."""

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

RECORD_TTL = 3600
"""Seconds for which an idempotency record is stored."""

RunScripts = Callable[[Sequence[Call]], list[list[Any]]]


def run_precheck(
    run_scripts: RunScripts, phone_hash: str, precheck: Call, request: PrecheckRequest
) -> PrecheckResult:
    """Run *precheck*, the call for the phone, together with all that *request* reads and counts."""
    calls = [precheck]
    if request.ip_quota:
        solved = bool(request.solved_challenge_id) or request.challenges_disabled
        calls.append(_ip_call(request.ip_quota, phone_hash, solved=solved))
    calls += [_conversion_call(scope) for scope in request.conversion_scopes]
    if request.solved_challenge_id:
        calls.append(_challenge_call(phone_hash, request))
    if request.idempotency:
        calls.append(begin_idempotent_call(request.idempotency))
    replies = iter(run_scripts(calls))
    result = decoding.precheck_result(next(replies))
    rejection, risk_reasons = _parse_ip_reply(next(replies)) if request.ip_quota else (None, ())
    errors = [error for error in (result.rejection, rejection) if error]
    return replace(
        result,
        rejection=decoding.longest_wait(errors) if errors else None,
        risk_reasons=risk_reasons,
        conversions=tuple(_conversion_stats(scope, next(replies)) for scope in request.conversion_scopes),
        reservation=QuotaReservation(
            None if rejection or risk_reasons else request.ip_quota,
            tuple(scope for scope in request.conversion_scopes if not scope.is_broad),
        ),
        challenge_accepted=bool(request.solved_challenge_id) and next(replies)[0] == b"ok",
        idempotency=decoding.idempotency_check(next(replies)) if request.idempotency else None,
    )


def release_calls(phone_hash: str, reservation: QuotaReservation) -> list[Call]:
    """Return the calls that release what a pre-check has counted for a phone."""
    calls = [_conversion_call(scope, sent=-1) for scope in reservation.conversion_scopes]
    if reservation.ip_quota:
        ip_log = keys.ip_log(reservation.ip_quota.ip_hash)
        calls.append(Call("ip_release", [ip_log], [encoding.short_phone_hash(phone_hash)]))
    return calls


def begin_idempotent_call(record: IdempotencyRecord) -> Call:
    """Return the script call that begins an idempotent call."""
    times = round(record.abandoned_after * 1000), RECORD_TTL * 1000
    return Call(
        "idempotency_begin",
        [keys.idempotency_record(record.key_hash)],
        [record.fingerprint, record.result_id, *times],
    )


def finish_idempotent_call(record: IdempotencyRecord, result_id: str) -> Call:
    """Return the script call that finishes an idempotent call; *result_id* is empty after a rejection."""
    return Call(
        "idempotency_finish",
        [keys.idempotency_record(record.key_hash)],
        [record.fingerprint, result_id, RECORD_TTL * 1000],
    )


def _ip_call(quota: ClientIpQuota, phone_hash: str, *, solved: bool) -> Call:
    limits = encoding.ip_limits(quota.limits)
    rest: list[Argument] = [limits, encoding.short_phone_hash(phone_hash), int(solved)]
    return Call("ip_reserve", [keys.ip_log(quota.ip_hash)], rest)


def _conversion_call(scope: ConversionScope, sent: int = 1) -> Call:
    """Return the call that counts in a narrow scope or reads a broad one.

    A broad scope counts SMS only after they were sent.
    """
    if scope.is_broad:
        return broad_call(scope)
    return Call(
        "conversion_stats",
        [keys.conversion_stats(scope.name)],
        [sent, 0, *encoding.narrow_limits(scope.limits), 0],
    )


def broad_call(scope: ConversionScope, sent: int = 0, verified: int = 0, *more: Argument) -> Call:
    """Return the call that counts in a broad scope; for *more* see `conversion_stats_broad.lua`."""
    changes = more or (0, 1, b"")
    rest = [sent, verified, *changes, *encoding.broad_limits(scope.limits)]
    return Call("conversion_stats_broad", [keys.conversion_stats(scope.name)], rest)


def _challenge_call(phone_hash: str, request: PrecheckRequest) -> Call:
    return Call(
        "redeem",
        [keys.used_challenge(phone_hash, request.solved_challenge_id)],
        ["", request.solution_ttl * 1000],
    )


def _parse_ip_reply(reply: Sequence[Any]) -> tuple[OtpError | None, tuple[str, ...]]:
    """Return why an IP address gets no SMS now, and which limits require a risk challenge first."""
    if reply[0] == b"challenge":
        return None, (reply[1].decode(),)
    return decoding.rejection(reply), ()


def _conversion_stats(scope: ConversionScope, reply: Sequence[Any]) -> ConversionStats:
    read = decoding.broad_stats if scope.is_broad else decoding.narrow_stats
    return read(scope.kind, reply)
