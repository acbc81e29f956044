from __future__ import annotations

from datetime import UTC, datetime

import pytest

from otp_service.sms.aliyun.protocol.timestamps import CHINA, format_timestamp, parse_timestamp

TEXT = "2026-11-23T08:07:41Z"
MOMENT = datetime(2026, 11, 23, 8, 7, 41, tzinfo=UTC)


def test_timestamp_is_written_in_utc() -> None:
    assert format_timestamp(MOMENT.astimezone(CHINA)) == TEXT


def test_timestamp_is_read_again() -> None:
    assert parse_timestamp(TEXT) == MOMENT


@pytest.mark.parametrize(
    "text",
    ["", "2026-11-23T08:07:41.000Z", "2026-11-23 08:07:41", "2026-1-2T3:4:5Z", "2026-11-23T08:07:41+00:00"],
)
def test_other_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"format|timestamp"):
        parse_timestamp(text)
