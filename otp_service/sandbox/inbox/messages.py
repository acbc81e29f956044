"""The SMS that the sandbox has "sent". In memory, thread-safe and bounded."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from otp_service.sms.aliyun.protocol.receipts import Delivery, lookup_receipt


@dataclass(frozen=True)
class Message:
    """An SMS to one phone, and the result that the carrier will report."""

    #: In E.164.
    phone: str
    sign_name: str
    template_code: str
    text: str
    code: str
    out_id: str
    biz_id: str
    #: When the API accepted it.
    received_at: datetime
    #: The result, and when the carrier reports it; None means never.
    err_code: str
    report_at: datetime | None
    #: The suffix of the sender's number.
    extend_code: str = ""

    def delivery(self, now: datetime) -> Delivery:
        """Return the delivery state that is known at *now*."""
        if self.report_at is None or now < self.report_at:
            return Delivery.WAITING
        return lookup_receipt(self.err_code).delivery


class Inbox:
    """The messages of all phones. A full inbox drops its oldest messages."""

    def __init__(self, size: int) -> None:
        self._lock = threading.Lock()
        self._messages: deque[Message] = deque(maxlen=size)

    def add(self, messages: Iterable[Message]) -> None:
        """Add *messages* as the newest ones."""
        with self._lock:
            self._messages.extendleft(messages)

    def newest_first(self, phone: str | None = None) -> list[Message]:
        """Return all messages, or those to *phone* (E.164) if it is given."""
        with self._lock:
            messages = list(self._messages)
        return [message for message in messages if phone in (None, message.phone)]

    def newest(self, phone: str) -> Message | None:
        """Return the last message to a phone, or None if there is none."""
        return next(iter(self.newest_first(phone)), None)

    def set_result(self, phone: str, err_code: str, now: datetime) -> Message | None:
        """Set the reported result of the last message to a phone. Return it, or None if there is none."""
        with self._lock:
            for index, message in enumerate(self._messages):
                if message.phone == phone:
                    self._messages[index] = replace(message, err_code=err_code, report_at=now)
                    return self._messages[index]
        return None

    def clear(self) -> None:
        """Remove all messages."""
        with self._lock:
            self._messages.clear()
