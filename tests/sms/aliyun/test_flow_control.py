from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from otp_service.sms.aliyun.protocol.flow_control import (
    DEFAULT_LIMITS,
    FlowLimit,
    Window,
    flow_message,
    next_send_at,
    next_window_start,
    parse_flow_message,
)

NOW = datetime(2026, 11, 23, 8, 7, 41, 500_000, UTC)

MESSAGES = [
    ("触发分钟级流控Permits:1", FlowLimit(Window.MINUTE, 1)),
    ("触发小时级流控Permits:5", FlowLimit(Window.HOUR, 5)),
    ("触发天级流控Permits:10", FlowLimit(Window.DAY, 10)),
    ("触发号码天级流控Permits:40", FlowLimit(Window.DAY, 40, all_senders=True)),
]


@pytest.mark.parametrize(("message", "limit"), MESSAGES, ids=["minute", "hour", "day", "number_day"])
def test_message_names_its_limit(message: str, limit: FlowLimit) -> None:
    assert parse_flow_message(message) == limit
    assert flow_message(limit) == message


def test_default_limits_are_those_of_the_messages() -> None:
    assert list(DEFAULT_LIMITS) == [limit for _, limit in MESSAGES]


@pytest.mark.parametrize("message", ["", "OK", "触发年级流控Permits:1", "触发分钟级流控Permits:"])
def test_other_message_names_no_limit(message: str) -> None:
    assert parse_flow_message(message) is None


@pytest.mark.parametrize(
    ("window", "now", "start"),
    [
        (Window.MINUTE, NOW, datetime(2026, 11, 23, 8, 8, tzinfo=UTC)),
        (Window.MINUTE, NOW.replace(second=0, microsecond=0), datetime(2026, 11, 23, 8, 8, tzinfo=UTC)),
        (
            Window.MINUTE,
            datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC),
            datetime(2026, 12, 31, 16, tzinfo=UTC),
        ),
        (Window.HOUR, NOW, datetime(2026, 11, 23, 9, tzinfo=UTC)),
        (Window.HOUR, datetime(2026, 12, 31, 15, 59, tzinfo=UTC), datetime(2026, 12, 31, 16, tzinfo=UTC)),
        (Window.DAY, NOW, NOW + timedelta(hours=24)),
    ],
    ids=["minute", "minute_edge", "minute_at_midnight", "hour", "hour_at_midnight", "day"],
)
def test_next_window_starts_at_the_edge(window: Window, now: datetime, start: datetime) -> None:
    assert next_window_start(window, now) == start


def test_hour_is_chinas_whatever_the_zone_of_now() -> None:
    india = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))

    assert next_window_start(Window.HOUR, india) == datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("触发分钟级流控Permits:1", 18.5),
        ("触发小时级流控Permits:5", 3138.5),
        ("触发天级流控Permits:10", 86400),
        ("触发号码天级流控Permits:40", 86400),
        ("what", 60),
    ],
    ids=["minute", "hour", "day", "number_day", "unknown"],
)
def test_next_send_waits_for_the_window(message: str, seconds: float) -> None:
    assert (next_send_at(message, NOW) - NOW).total_seconds() == seconds
