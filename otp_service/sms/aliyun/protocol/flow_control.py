"""Aliyun's flow control per phone number: its texts and its windows; touches nothing.

For a verification template the provider takes one SMS a minute, five an hour and ten
a day for one sign name and number, and forty a day for one number over all senders.
Minute and hour are clock windows in UTC+8; a day is 24 hours from the sending. All
are answered with `isv.BUSINESS_LIMIT_CONTROL` and told apart by the message alone:
https://help.aliyun.com/document_detail/44335.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from otp_service.sms.aliyun.protocol.timestamps import CHINA

FLOW_CONTROL_CODE = "isv.BUSINESS_LIMIT_CONTROL"

#: How long to wait after a flow control message that nobody can read.
UNKNOWN_WINDOW = timedelta(seconds=60)

_MESSAGE = re.compile(r"触发(号码)?(分钟|小时|天)级流控Permits:(\d+)")


class Window(StrEnum):
    """The span over which the provider counts."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


_CHINESE = {Window.MINUTE: "分钟", Window.HOUR: "小时", Window.DAY: "天"}
_WINDOWS = {chinese: window for window, chinese in _CHINESE.items()}


@dataclass(frozen=True)
class FlowLimit:
    """At most *permits* SMS in one *window*."""

    window: Window
    permits: int
    #: True when all senders of the number share it, false when it is the sign name's.
    all_senders: bool = False


#: What holds for a verification template unless the account's owner changed it.
DEFAULT_LIMITS = (
    FlowLimit(Window.MINUTE, 1),
    FlowLimit(Window.HOUR, 5),
    FlowLimit(Window.DAY, 10),
    FlowLimit(Window.DAY, 40, all_senders=True),
)


def flow_message(limit: FlowLimit) -> str:
    """Write the provider's message for a full *limit*; `parse_flow_message` reads it."""
    scope = "号码" if limit.all_senders else ""
    return f"触发{scope}{_CHINESE[limit.window]}级流控Permits:{limit.permits}"


def parse_flow_message(message: str) -> FlowLimit | None:
    """Find the full limit in the provider's *message*; None if it names none."""
    match = _MESSAGE.search(message)
    if match is None:
        return None
    scope, window, permits = match.groups()
    return FlowLimit(_WINDOWS[window], int(permits), all_senders=scope is not None)


def next_window_start(window: Window, now: datetime) -> datetime:
    """Tell from when a full *window* surely takes an SMS again.

    The next clock minute or clock hour; for a day 24 hours from *now*, which is the
    latest possible moment, as only the provider knows when the day began.
    """
    local = now.astimezone(CHINA)
    if window is Window.DAY:
        return local + timedelta(hours=24)
    if window is Window.HOUR:
        return local.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return local.replace(second=0, microsecond=0) + timedelta(minutes=1)


def next_send_at(message: str, now: datetime) -> datetime:
    """Tell from when a number that got this flow control *message* may be tried again."""
    limit = parse_flow_message(message)
    if limit is None:
        return now.astimezone(CHINA) + UNKNOWN_WINDOW
    return next_window_start(limit.window, now)
