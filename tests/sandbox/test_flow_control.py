from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from otp_service.sandbox.api.flow_control import FlowControl
from otp_service.sms.aliyun.protocol.flow_control import DEFAULT_LIMITS, FlowLimit, Window

MINUTE, HOUR, DAY, NUMBER_DAY = DEFAULT_LIMITS
START = datetime(2026, 11, 23, 8, 0, 30, tzinfo=UTC)
NUMBER = "13800138000"


def _at(*, hours: int = 0, minutes: int = 0, seconds: float = 0) -> datetime:
    return START.replace(second=0) + timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _sent(moments: list[datetime], name: str = "A") -> FlowControl:
    flow = FlowControl(DEFAULT_LIMITS)
    for moment in moments:
        assert flow.acquire([(name, NUMBER)], moment) is None
    return flow


@pytest.mark.parametrize(
    ("now", "exceeded"),
    [(_at(seconds=59.999), MINUTE), (_at(minutes=1), None)],
    ids=["same_clock_minute", "next_clock_minute"],
)
def test_minute_is_a_clock_minute(now: datetime, exceeded: FlowLimit | None) -> None:
    flow = _sent([_at(seconds=59)])

    assert flow.acquire([("A", NUMBER)], now) == exceeded


@pytest.mark.parametrize(
    ("now", "exceeded"),
    [(_at(minutes=59, seconds=59), HOUR), (_at(hours=1), None)],
    ids=["same_clock_hour", "next_clock_hour"],
)
def test_hour_is_a_clock_hour(now: datetime, exceeded: FlowLimit | None) -> None:
    flow = _sent([_at(minutes=minute) for minute in range(50, 55)])

    assert flow.acquire([("A", NUMBER)], now) == exceeded


@pytest.mark.parametrize(
    ("now", "exceeded"),
    [(_at(hours=23, minutes=59, seconds=59), DAY), (_at(hours=24), None)],
    ids=["within_24_hours", "after_24_hours"],
)
def test_day_is_24_hours_from_the_send(now: datetime, exceeded: FlowLimit | None) -> None:
    flow = _sent([_at(hours=hour) for hour in range(10)])

    assert flow.acquire([("A", NUMBER)], now) == exceeded


def test_sign_names_are_counted_separately_except_by_the_limit_per_number() -> None:
    flow = FlowControl(DEFAULT_LIMITS)
    for name in "ABCD":
        for hour in range(10):
            assert flow.acquire([(name, NUMBER)], _at(hours=hour)) is None

    assert flow.acquire([("E", NUMBER)], _at(hours=10)) == NUMBER_DAY


def test_numbers_are_counted_separately() -> None:
    flow = _sent([START])

    assert flow.acquire([("A", "13900139000")], START) is None


def test_no_number_is_counted_when_one_exceeds_its_limit() -> None:
    flow = _sent([START])

    assert flow.acquire([("A", "13900139000"), ("A", NUMBER)], START) == MINUTE
    assert flow.acquire([("A", "13900139000")], START) is None


def test_refused_send_is_not_counted() -> None:
    flow = _sent([START])
    flow.acquire([("A", NUMBER)], START)

    assert [len(sends) for sends in flow._sent.values()] == [1]


def test_limits_can_be_configured() -> None:
    flow = FlowControl([FlowLimit(Window.MINUTE, 2)])

    taken = [flow.acquire([("A", NUMBER)], START) for _ in range(3)]

    assert taken == [None, None, FlowLimit(Window.MINUTE, 2)]


def test_least_recently_used_number_is_dropped_first() -> None:
    flow = FlowControl(DEFAULT_LIMITS, max_numbers=2)
    for number in ("13800138000", "13800138001", "13800138002"):
        flow.acquire([("A", number)], START)

    assert flow.acquire([("A", "13800138002")], START) == MINUTE
    assert flow.acquire([("A", "13800138000")], START) is None
