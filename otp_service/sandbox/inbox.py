"""The SMS that the sandbox "sent": in memory, thread-safe and bounded."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from otp_service.sms.aliyun.protocol.receipts import Delivery, lookup_receipt


@dataclass(frozen=True)
class Message:
    """One SMS to one phone, as it was accepted, and what becomes of it."""

    #: In E.164.
    phone: str
    sign_name: str
    template_code: str
    text: str
    code: str
    out_id: str
    biz_id: str
    #: When it was accepted.
    received_at: datetime
    #: What the carrier will say of it, and when; None: it never says anything.
    err_code: str
    report_at: datetime | None
    #: The sender's number ends with it.
    extend_code: str = ""

    def delivery(self, now: datetime) -> Delivery:
        """Tell what is known at that moment of what became of it."""
        if self.report_at is None or now < self.report_at:
            return Delivery.WAITING
        return lookup_receipt(self.err_code).delivery


class Inbox:
    """All phones' messages; when it is full the oldest ones go."""

    def __init__(self, size: int) -> None:
        self._lock = threading.Lock()
        self._messages: deque[Message] = deque(maxlen=size)

    def add(self, messages: Iterable[Message]) -> None:
        """Put *messages* on top."""
        with self._lock:
            self._messages.extendleft(messages)

    def newest_first(self, phone: str | None = None) -> list[Message]:
        """List the messages, of one *phone* (E.164) only if it is given."""
        with self._lock:
            messages = list(self._messages)
        return [message for message in messages if phone in (None, message.phone)]

    def newest(self, phone: str) -> Message | None:
        """Find the last message to a *phone*; None if it got none."""
        return next(iter(self.newest_first(phone)), None)

    def settle(self, phone: str, err_code: str, now: datetime) -> Message | None:
        """Have the carrier say *err_code* of the last message to a *phone*; None if there is none."""
        with self._lock:
            for place, message in enumerate(self._messages):
                if message.phone == phone:
                    self._messages[place] = replace(message, err_code=err_code, report_at=now)
                    return self._messages[place]
        return None

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._messages.clear()
