"""Turns the scripts' replies into values or errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from otp_service.domain.codes import CodeType
from otp_service.domain.errors import (
    AlreadyVerified,
    AttemptsExhausted,
    CooldownActive,
    InternalError,
    InvalidCode,
    LimitReached,
    OtpError,
    ProviderRateLimited,
    StoreUnavailable,
    VerificationCanceled,
    VerificationExpired,
    VerificationNotFound,
    WrongCode,
)
from otp_service.domain.idempotency import IdempotencyCheck, IdempotencyState
from otp_service.domain.limits import Budget
from otp_service.domain.risk import ConversionState, ConversionStats, PrecheckResult
from otp_service.domain.verification import (
    Approval,
    DeliveryStatus,
    DeliveryUpdate,
    SmsSend,
    Status,
    Verification,
)

_STATUS = {
    b"p": Status.PENDING,
    b"a": Status.APPROVED,
    b"x": Status.EXHAUSTED,
    b"c": Status.CANCELED,
    b"e": Status.EXPIRED,
}
_DELIVERY = {
    b"s": DeliveryStatus.SENDING,
    b"u": DeliveryStatus.UNKNOWN,
    b"a": DeliveryStatus.ACCEPTED,
    b"r": DeliveryStatus.REFUSED,
    b"d": DeliveryStatus.DELIVERED,
    b"n": DeliveryStatus.UNDELIVERED,
}

STATES = {delivery: state for state, delivery in _DELIVERY.items()}
"""The letter in the scripts for each state of a send."""

_FIELDS_PER_SEND = 4
_SENDS = 11
"""The index of the sends in a reply."""

_NO_SEND = 4
"""The length of a pre-check's reply without a send."""

_IDEMPOTENCY_STATES = frozenset(state.value.encode() for state in IdempotencyState)

_CODE_TYPES = {b"d": CodeType.DIGITS, b"n": CodeType.ALNUM}

_ERRORS: dict[bytes, Callable[[], OtpError]] = {
    b"verification_not_found": VerificationNotFound,
    b"already_verified": AlreadyVerified,
    b"verification_expired": VerificationExpired,
    b"verification_canceled": VerificationCanceled,
    b"attempts_exhausted": AttemptsExhausted,
    b"invalid_code": InvalidCode,
    b"exists": InternalError,  # 128 random bits came twice
    b"format": StoreUnavailable,  # written by a newer version
}


def rejection(reply: Sequence[Any]) -> OtpError | None:
    """Return the error that *reply* stands for, or None."""
    word = reply[0]
    if word in (b"ok", b"gone"):
        return None
    if word == b"refused":
        return limit_error(reply[1].decode(), reply[2])
    if word == b"wrong_code":
        return WrongCode(reply[1])
    return _ERRORS.get(word, StoreUnavailable)()


@dataclass(frozen=True, slots=True)
class BudgetResult:
    """The result of taking an SMS from budgets: the least that one has *left* on *day*, or a *rejection*."""

    left: int = 255
    day: int = 0
    rejection: OtpError | None = None


def budget_result(replies: Sequence[Sequence[Any]], budgets: Sequence[Budget]) -> BudgetResult:
    """Return the result of taking an SMS from *budgets*; *replies* has the script's reply, if it was run."""
    if not replies:
        return BudgetResult()
    word, *facts = replies[0]
    if word == b"ok":
        return BudgetResult(*facts)
    if word == b"refused":
        number, wait_ms = facts
        return BudgetResult(rejection=limit_error(budgets[number - 1].name, wait_ms))
    return BudgetResult(rejection=StoreUnavailable())


def raise_if_rejected(reply: Sequence[Any]) -> None:
    """Raise the error that *reply* stands for, if any."""
    if error := rejection(reply):
        raise error


def longest_wait(errors: Sequence[OtpError]) -> OtpError:
    """Return the error with the longest wait; an error without a wait takes precedence."""
    return max(errors, key=lambda error: getattr(error, "retry_after", math.inf))


def limit_error(name: str, wait_ms: int) -> OtpError:
    """Return the error of a full limit. Its seconds are rounded up, so that waiting for them is enough."""
    seconds = math.ceil(wait_ms / 1000)
    if name == "phone_cooldown":
        return CooldownActive(seconds, name)
    if name == "provider_window":
        return ProviderRateLimited(seconds)
    return LimitReached(seconds, name)


def verification(reply: Sequence[Any], verification_hash: str, client: str) -> Verification:
    """Return the verification that *reply* describes."""
    now, purpose, code_type, state, issued_at, expires_at, *counts, sends = reply[1 : _SENDS + 1]
    attempts, sends_left, resend_at, max_sends = counts
    status = _STATUS[state]
    return Verification(
        verification_hash=verification_hash,
        client=client,
        purpose=purpose.decode(),
        status=status,
        code_type=_CODE_TYPES[code_type],
        issued_at=issued_at / 1000,
        expires_at=expires_at / 1000,
        attempts_left=attempts if status is Status.PENDING else 0,
        sends_left=sends_left,
        resend_at=resend_at / 1000 if resend_at else None,
        sends=tuple(_sends(sends)),
        now=now / 1000,
        max_sends=max_sends,
    )


def precheck_result(reply: Sequence[Any]) -> PrecheckResult:
    """Return the result of a pre-check."""
    if error := rejection(reply):
        return PrecheckResult(known=False, rejection=error)
    known, is_slow, is_trusted = (fact == 1 for fact in reply[1:_NO_SEND])
    if len(reply) == _NO_SEND:
        return PrecheckResult(known, is_restricted=is_slow, is_trusted=is_trusted)
    now, purpose, number, state, at, route = reply[_NO_SEND:]
    last = SmsSend(number, _DELIVERY[state], at / 1000, route.decode())
    return PrecheckResult(known, now / 1000, purpose.decode(), last, is_slow, is_trusted=is_trusted)


def approval(reply: Sequence[Any]) -> Approval:
    """Return the approval.

    Raises:
        VerificationError, InvalidCode: the code was not accepted.
    """
    raise_if_rejected(reply)
    return Approval(
        str(reply[1], "ascii"),
        failed_attempts=reply[2],
        approved_at=reply[3] // 1000,
        replayed=reply[4] == 1,
        seconds_to_verify=reply[5] / 1000,
        route=reply[6].decode(),
    )


def idempotency_check(reply: Sequence[Any]) -> IdempotencyCheck:
    """Return the state of an idempotency key.

    Raises:
        StoreUnavailable: a newer version wrote the value.
    """
    word = reply[0]
    if word not in _IDEMPOTENCY_STATES:
        raise StoreUnavailable
    state = IdempotencyState(word.decode())
    if state is IdempotencyState.IN_PROGRESS:
        return IdempotencyCheck(state, wait=max(1, math.ceil(reply[1] / 1000)))
    return IdempotencyCheck(state, reply[1].decode() if len(reply) > 1 else "")


def narrow_stats(kind: str, reply: Sequence[Any]) -> ConversionStats:
    """Return the counts of a narrow scope."""
    level, unverified, sent, verified, suspect, state = reply[1:7]
    return ConversionStats(
        kind, level, unverified, sent, verified, is_suspect=suspect == 1, state=ConversionState(state)
    )


def broad_stats(kind: str, reply: Sequence[Any]) -> ConversionStats:
    """Return the counts of a broad scope."""
    level, unverified, sent, verified = reply[1:]
    return ConversionStats(kind, level, unverified, sent, verified, is_broad=True)


def delivery_update(reply: Sequence[Any]) -> DeliveryUpdate | None:
    """Return the send that a report was about, if it is still stored.

    Raises:
        StoreUnavailable: a newer version wrote the value.
    """
    raise_if_rejected(reply)
    if reply[0] == b"gone":
        return None
    changed, client, purpose, route = reply[1:]
    return DeliveryUpdate(client.decode(), purpose.decode(), route.decode(), changed=changed == 1)


def newest_send_number(reply: Sequence[Any]) -> int:
    """Return the number of the newest send of the verification that *reply* describes."""
    return len(reply[_SENDS]) // _FIELDS_PER_SEND


def _sends(flat: Sequence[Any]) -> list[SmsSend]:
    rows = [flat[i : i + _FIELDS_PER_SEND] for i in range(0, len(flat), _FIELDS_PER_SEND)]
    return [
        SmsSend(number, _DELIVERY[state], at / 1000, route.decode(), reason.decode())
        for number, (state, at, route, reason) in enumerate(rows, start=1)
    ]
