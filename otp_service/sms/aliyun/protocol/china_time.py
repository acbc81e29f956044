"""Times as Aliyun's reports, receipts and lists spell them: China's, without a zone; touches nothing."""

from __future__ import annotations

from datetime import datetime

from otp_service.sms.aliyun.protocol.timestamps import CHINA

_FORMAT = "%Y-%m-%d %H:%M:%S"
_DATE = "%Y%m%d"


def format_china(moment: datetime) -> str:
    """Write *moment* as `yyyy-MM-dd HH:mm:ss` in China's time."""
    return moment.astimezone(CHINA).strftime(_FORMAT)


def parse_china(text: str) -> datetime:
    """Read what `format_china` wrote.

    Raises:
        ValueError: *text* is not of that form.
    """
    return datetime.strptime(text, _FORMAT).replace(tzinfo=CHINA)


def china_date(moment: datetime) -> str:
    """Write the day of *moment* in China as `SendDate` wants it: `yyyyMMdd`."""
    return moment.astimezone(CHINA).strftime(_DATE)
