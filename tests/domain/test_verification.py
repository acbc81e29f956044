"""Verifications: their remaining times and delivery states."""

from __future__ import annotations

import pytest

from otp_service.domain.codes import CodeType
from otp_service.domain.verification import DeliveryStatus, SmsSend, Status, Verification


def verification(**changes: object) -> Verification:
    facts: dict[str, object] = {
        "verification_hash": "v" * 16,
        "client": "shop",
        "purpose": "login",
        "status": Status.PENDING,
        "code_type": CodeType.DIGITS,
        "issued_at": 1_000.0,
        "expires_at": 1_300.0,
        "attempts_left": 5,
        "sends_left": 3,
        "resend_at": 1_060.0,
        "sends": (),
        "now": 1_000.0,
    }
    return Verification(**(facts | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "left"), [(1_000.0, 300), (1_000.1, 299), (1_299.0, 1), (1_299.5, 0), (1_300.0, 0), (2_000.0, 0)]
)
def test_expires_in_is_rounded_down(now: float, left: int) -> None:
    assert verification(now=now).expires_in == left


@pytest.mark.parametrize(
    ("now", "wait"), [(1_000.0, 60), (1_000.1, 60), (1_059.9, 1), (1_060.0, 0), (1_200.0, 0)]
)
def test_resend_in_is_rounded_up(now: float, wait: int) -> None:
    assert verification(now=now).resend_in == wait


def test_resend_in_is_none_if_no_resend_is_possible() -> None:
    assert verification(resend_at=None).resend_in is None


def test_delivery_is_the_state_of_the_newest_send() -> None:
    sends = (
        SmsSend(1, DeliveryStatus.DELIVERED, 1_000.0, "main"),
        SmsSend(2, DeliveryStatus.UNKNOWN, 1_060.0, "main"),
    )

    assert verification(sends=sends).delivery is DeliveryStatus.UNKNOWN


def test_verification_without_sends_has_the_delivery_sending() -> None:
    assert verification().delivery is DeliveryStatus.SENDING


COOLDOWN = (60, 120)


def sent(*at: float) -> tuple[SmsSend, ...]:
    return tuple(SmsSend(number, DeliveryStatus.ACCEPTED, when, "main") for number, when in enumerate(at, 1))


@pytest.mark.parametrize(
    ("sends", "changes", "left", "resend_at"),
    [
        (sent(1_000.0), {}, 3, 1_060.0),
        (sent(1_000.0, 1_060.0), {}, 2, 1_180.0),
        (sent(1_000.0), {"now": 1_100.0}, 3, 1_100.0),
        (sent(1_000.0), {"expires_at": 1_050.0}, 0, None),
        (sent(1_000.0, 1_001.0, 1_002.0, 1_003.0), {}, 0, None),
        (sent(1_000.0), {"status": Status.CANCELED}, 0, None),
        ((), {}, 0, None),
    ],
    ids=["first", "second", "due", "too late", "all of them", "ended", "none yet"],
)
def test_own_limits_depend_only_on_its_own_sends(
    sends: tuple[SmsSend, ...], changes: dict[str, object], left: int, resend_at: float | None
) -> None:
    own = verification(sends=sends, max_sends=4, sends_left=0, resend_at=9_000.0, **changes)

    seen = own.without_shared_limits(COOLDOWN)

    assert (seen.sends_left, seen.resend_at) == (left, resend_at)
