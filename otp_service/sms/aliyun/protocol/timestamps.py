"""Aliyun's time formats: UTC in signed requests, China Standard Time in reports, receipts and lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8), "UTC+8")

_UTC_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_CHINA_FORMAT = "%Y-%m-%d %H:%M:%S"
_CHINA_DATE = "%Y%m%d"


def format_timestamp(moment: datetime) -> str:
    """Format *moment* for `Timestamp` and `x-acs-date`: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime(_UTC_FORMAT)


def parse_timestamp(text: str) -> datetime:
    """Parse the output of `format_timestamp`, strictly.

    Raises:
        ValueError: *text* does not have the form `yyyy-MM-ddTHH:mm:ssZ`.
    """
    moment = datetime.strptime(text, _UTC_FORMAT).replace(tzinfo=UTC)
    if format_timestamp(moment) != text:  # `strptime` also accepts "2026-1-2T3:4:5Z".
        raise ValueError("not a timestamp of the form yyyy-MM-ddTHH:mm:ssZ")
    return moment


def format_china(moment: datetime) -> str:
    """Format *moment* as `yyyy-MM-dd HH:mm:ss` in China Standard Time, without a zone."""
    return moment.astimezone(CHINA).strftime(_CHINA_FORMAT)


def parse_china(text: str) -> datetime:
    """Parse the output of `format_china`.

    Raises:
        ValueError: *text* does not have the form `yyyy-MM-dd HH:mm:ss`.
    """
    return datetime.strptime(text, _CHINA_FORMAT).replace(tzinfo=CHINA)


def china_date(moment: datetime) -> str:
    """Format the date of *moment* in China for `SendDate`: `yyyyMMdd`."""
    return moment.astimezone(CHINA).strftime(_CHINA_DATE)
