"""The codes that PNVS drew itself and can check: in memory, thread-safe and bounded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

#: A number and the scheme that its codes belong to.
Owner = tuple[str, str]


@dataclass(frozen=True)
class IssuedCode:
    """One code, and until when it is good."""

    code: str
    valid_until: datetime


class IssuedCodes:
    """Which codes each number got under each scheme, and when the last one."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._codes: OrderedDict[Owner, list[IssuedCode]] = OrderedDict()
        self._sent_at: OrderedDict[Owner, datetime] = OrderedDict()

    def too_soon(self, owner: Owner, interval: timedelta, now: datetime) -> bool:
        """Whether the last send to that owner is less than *interval* ago."""
        with self._lock:
            sent_at = self._sent_at.get(owner)
            return sent_at is not None and now - sent_at < interval

    def note_send(self, owner: Owner, now: datetime) -> None:
        """Remember that something was sent to that owner."""
        with self._lock:
            self._sent_at[owner] = now
            self._bound(self._sent_at)

    def issue(self, owner: Owner, code: IssuedCode, *, keeps_older: bool) -> None:
        """Make a code good for that owner; the older ones stay so or not."""
        with self._lock:
            older = self._codes.get(owner, []) if keeps_older else []
            self._codes[owner] = [*older[-9:], code]
            self._bound(self._codes)

    def use(self, owner: Owner, matches: Callable[[str], bool], now: datetime) -> bool:
        """Use up the code of that owner that *matches*; tells whether one did and was still good."""
        with self._lock:
            codes = self._codes.get(owner, [])
            found = [code for code in codes if now < code.valid_until and matches(code.code)]
            if found:
                codes.remove(found[0])
            return bool(found)

    def _bound(self, remembered: OrderedDict[Owner, list[IssuedCode]] | OrderedDict[Owner, datetime]) -> None:
        if len(remembered) > self._most:
            remembered.popitem(last=False)
