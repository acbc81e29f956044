from __future__ import annotations

from datetime import UTC, datetime

import pytest

from otp_service.sms.aliyun.protocol.timestamps import (
    CHINA,
    china_date,
    format_china,
    format_timestamp,
    parse_china,
    parse_timestamp,
)

TEXT = "2026-11-23T08:07:41Z"
MOMENT = datetime(2026, 11, 23, 8, 7, 41, tzinfo=UTC)
EVENING = datetime(2026, 11, 23, 16, 7, 41, 999_999, tzinfo=UTC)


def test_timestamp_is_formatted_in_utc() -> None:
    assert format_timestamp(MOMENT.astimezone(CHINA)) == TEXT


def test_timestamp_is_parsed() -> None:
    assert parse_timestamp(TEXT) == MOMENT


@pytest.mark.parametrize(
    "text",
    ["", "2026-11-23T08:07:41.000Z", "2026-11-23 08:07:41", "2026-1-2T3:4:5Z", "2026-11-23T08:07:41+00:00"],
)
def test_timestamp_in_another_format_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"format|timestamp"):
        parse_timestamp(text)


def test_china_time_is_formatted_to_the_second() -> None:
    assert format_china(EVENING) == "2026-11-24 00:07:41"


def test_china_time_is_parsed() -> None:
    assert parse_china("2026-11-24 00:07:41") == EVENING.replace(microsecond=0)


@pytest.mark.parametrize("text", ["", "2026-11-24", "2026-11-24T00:07:41", "2026-11-24 00:07:41Z"])
def test_china_time_in_another_format_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_china(text)


def test_china_date_changes_at_midnight_in_china() -> None:
    before = datetime(2026, 11, 23, 15, 59, 59, tzinfo=UTC)

    assert [china_date(before), china_date(EVENING)] == ["20261123", "20261124"]
