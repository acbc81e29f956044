from __future__ import annotations

from datetime import UTC, datetime

import pytest

from otp_service.sms.aliyun.protocol.china_time import china_date, format_china, parse_china

EVENING = datetime(2026, 11, 23, 16, 7, 41, 999_999, tzinfo=UTC)


def test_time_is_chinas_to_the_second() -> None:
    assert format_china(EVENING) == "2026-11-24 00:07:41"


def test_time_is_read_back() -> None:
    assert parse_china("2026-11-24 00:07:41") == EVENING.replace(microsecond=0)


@pytest.mark.parametrize("text", ["", "2026-11-24", "2026-11-24T00:07:41", "2026-11-24 00:07:41Z"])
def test_other_spelling_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_china(text)


def test_day_begins_at_midnight_in_china() -> None:
    before = datetime(2026, 11, 23, 15, 59, 59, tzinfo=UTC)

    assert [china_date(before), china_date(EVENING)] == ["20261123", "20261124"]
