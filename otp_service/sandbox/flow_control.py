"""Counts SMS per number as Aliyun does, in memory, thread-safe and bounded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from otp_service.sms.aliyun.protocol.flow_control import FlowLimit, next_window_start

_LONGEST = timedelta(hours=24)


class FlowControl:
    """Remembers when each number got an SMS, and under which sign name."""

    def __init__(self, limits: Sequence[FlowLimit], most_numbers: int = 100_000) -> None:
        self._most_numbers = most_numbers
        self._limits = limits
        self._lock = threading.Lock()
        self._sent: OrderedDict[str, list[tuple[datetime, str]]] = OrderedDict()

    def take(self, sign_name: str, numbers: Iterable[str], now: datetime) -> FlowLimit | None:
        """Count one SMS to each of *numbers*, or to none if one has a full limit.

        Returns:
            The limit that is full, if any.
        """
        return self.take_each([(sign_name, number) for number in numbers], now)

    def take_each(self, sends: Iterable[tuple[str, str]], now: datetime) -> FlowLimit | None:
        """Count the *sends*, pairs of sign name and number, as `take` does."""
        with self._lock:
            unique = dict.fromkeys(sends)
            for sign_name, number in unique:
                full = self._full(sign_name, number, now)
                if full is not None:
                    return full
            for sign_name, number in unique:
                self._count(sign_name, number, now)
            return None

    def _full(self, sign_name: str, number: str, now: datetime) -> FlowLimit | None:
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
        kept = [send for send in self._sent.get(number, []) if now - send[0] < _LONGEST]
        self._sent[number] = [*kept, (now, sign_name)]
        self._sent.move_to_end(number)
        if len(self._sent) > self._most_numbers:
            self._sent.popitem(last=False)
