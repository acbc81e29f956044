"""Aliyun's spellings of time; touches nothing, `now` is always an argument."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8), "UTC+8")

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def format_timestamp(now: datetime) -> str:
    """Write *now* as `Timestamp` and `x-acs-date` want it: UTC, whole seconds."""
    return now.astimezone(UTC).strftime(_FORMAT)


def parse_timestamp(text: str) -> datetime:
    """Read what `format_timestamp` wrote, and nothing more lenient.

    Raises:
        ValueError: *text* is not of that form.
    """
    moment = datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)
    if format_timestamp(moment) != text:  # `strptime` takes "2026-1-2T3:4:5Z" too.
        raise ValueError("not a timestamp of the form yyyy-MM-ddTHH:mm:ssZ")
    return moment
