"""Aliyun's flow control per phone number: its messages and its windows.

For a verification template the provider allows one SMS a minute, five an hour and ten a day for one sign name
and number, and forty a day for one number from all senders. Minutes and hours are clock windows in UTC+8; a
day is 24 hours from the send. All limits respond with `isv.BUSINESS_LIMIT_CONTROL` and differ only in the
message: https://help.aliyun.com/document_detail/44335.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from otp_service.sms.aliyun.protocol.timestamps import CHINA

FLOW_CONTROL_CODE = "isv.BUSINESS_LIMIT_CONTROL"

UNKNOWN_WINDOW = timedelta(seconds=60)
"""The wait after a flow control message that cannot be parsed."""

_MESSAGE = re.compile(r"触发(号码)?(分钟|小时|天)级流控Permits:(\d+)")


class Window(StrEnum):
    """The period over which the provider counts."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


_CHINESE = {Window.MINUTE: "分钟", Window.HOUR: "小时", Window.DAY: "天"}
_WINDOWS = {chinese: window for window, chinese in _CHINESE.items()}


@dataclass(frozen=True)
class FlowLimit:
    """At most *permits* SMS in one *window*.

    *all_senders*: all senders to the number share the limit; otherwise it is per sign name.
    """

    window: Window
    permits: int
    all_senders: bool = False


DEFAULT_LIMITS = (
    FlowLimit(Window.MINUTE, 1),
    FlowLimit(Window.HOUR, 5),
    FlowLimit(Window.DAY, 10),
    FlowLimit(Window.DAY, 40, all_senders=True),
)
"""The limits of a verification template, unless the account's owner changed them."""


def flow_message(limit: FlowLimit) -> str:
    """Return the provider's message for an exhausted *limit*; `parse_flow_message` parses it."""
    scope = "号码" if limit.all_senders else ""
    return f"触发{scope}{_CHINESE[limit.window]}级流控Permits:{limit.permits}"


def parse_flow_message(message: str) -> FlowLimit | None:
    """Return the exhausted limit that *message* names; None if it names none."""
    match = _MESSAGE.search(message)
    if match is None:
        return None
    scope, window, permits = match.groups()
    return FlowLimit(_WINDOWS[window], int(permits), all_senders=scope is not None)


def next_window_start(window: Window, now: datetime) -> datetime:
    """Return when an exhausted *window* certainly allows an SMS again.

    This is the next clock minute or hour. For a day it is 24 hours from *now*, the latest possible moment,
    because only the provider knows when the day began.
    """
    local = now.astimezone(CHINA)
    if window is Window.DAY:
        return local + timedelta(hours=24)
    if window is Window.HOUR:
        return local.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return local.replace(second=0, microsecond=0) + timedelta(minutes=1)


def next_send_at(message: str, now: datetime) -> datetime:
    """Return when a number with this flow control *message* may get its next SMS."""
    limit = parse_flow_message(message)
    if limit is None:
        return now.astimezone(CHINA) + UNKNOWN_WINDOW
    return next_window_start(limit.window, now)
