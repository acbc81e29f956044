"""The SMS that the sandbox "sent": in memory, thread-safe and bounded."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Message:
    """One SMS on one phone."""

    #: In E.164.
    phone: str
    sign_name: str
    template_code: str
    text: str
    code: str
    out_id: str
    biz_id: str
    received_at: datetime


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

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._messages.clear()
