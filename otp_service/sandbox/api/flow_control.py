"""Counts SMS per number as Alibaba Cloud's flow control does. In memory, thread-safe and bounded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from otp_service.sms.aliyun.protocol.flow_control import FlowLimit, next_window_start

_LONGEST_WINDOW = timedelta(hours=24)


class FlowControl:
    """When each number was sent an SMS, and with which sign name."""

    def __init__(self, limits: Sequence[FlowLimit], max_numbers: int = 100_000) -> None:
        self._max_numbers = max_numbers
        self._limits = limits
        self._lock = threading.Lock()
        self._sent: OrderedDict[str, list[tuple[datetime, str]]] = OrderedDict()

    def acquire(self, sends: Iterable[tuple[str, str]], now: datetime) -> FlowLimit | None:
        """Count *sends*, pairs of sign name and number: all of them, or none if one exceeds a limit.

        Returns:
            The limit that would be exceeded, if any.
        """
        with self._lock:
            unique = dict.fromkeys(sends)
            for sign_name, number in unique:
                exceeded = self._exceeded_limit(sign_name, number, now)
                if exceeded is not None:
                    return exceeded
            for sign_name, number in unique:
                self._count(sign_name, number, now)
            return None

    def _exceeded_limit(self, sign_name: str, number: str, now: datetime) -> FlowLimit | None:
        sent = self._sent.get(number, [])
        for limit in self._limits:
            counted = [
                moment
                for moment, name in sent
                if (limit.all_senders or name == sign_name) and next_window_start(limit.window, moment) > now
            ]
            if len(counted) >= limit.permits:
                return limit
        return None

    def _count(self, sign_name: str, number: str, now: datetime) -> None:
        recent = [send for send in self._sent.get(number, []) if now - send[0] < _LONGEST_WINDOW]
        self._sent[number] = [*recent, (now, sign_name)]
        self._sent.move_to_end(number)
        if len(self._sent) > self._max_numbers:
            self._sent.popitem(last=False)
