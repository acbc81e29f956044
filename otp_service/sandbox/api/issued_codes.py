"""The codes that PNVS generated and can check. In memory, thread-safe and bounded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

#: A number and the scheme (`SchemeName`) for which a code was sent.
CodeScope = tuple[str, str]

#: How many codes are kept per scope.
_MAX_CODES = 10


@dataclass(frozen=True)
class IssuedCode:
    """A code and its expiry."""

    code: str
    valid_until: datetime


class IssuedCodes:
    """The valid codes of each scope, and when the last SMS was sent."""

    def __init__(self, max_scopes: int = 10_000) -> None:
        self._max_scopes = max_scopes
        self._lock = threading.Lock()
        self._codes: OrderedDict[CodeScope, list[IssuedCode]] = OrderedDict()
        self._sent_at: OrderedDict[CodeScope, datetime] = OrderedDict()

    def is_too_soon(self, scope: CodeScope, interval: timedelta, now: datetime) -> bool:
        """Return whether the last SMS of the scope was sent less than *interval* ago."""
        with self._lock:
            sent_at = self._sent_at.get(scope)
            return sent_at is not None and now - sent_at < interval

    def record_send(self, scope: CodeScope, now: datetime) -> None:
        """Record that an SMS was sent."""
        with self._lock:
            self._sent_at[scope] = now
            self._drop_oldest(self._sent_at)

    def issue(self, scope: CodeScope, code: IssuedCode, *, keep_older: bool) -> None:
        """Add a valid code. Older codes of the scope stay valid only with *keep_older*."""
        with self._lock:
            older = self._codes.get(scope, []) if keep_older else []
            self._codes[scope] = [*older[1 - _MAX_CODES :], code]
            self._drop_oldest(self._codes)

    def consume(self, scope: CodeScope, matches: Callable[[str], bool], now: datetime) -> bool:
        """Remove the valid code of the scope that *matches*. Return whether there was one."""
        with self._lock:
            codes = self._codes.get(scope, [])
            found = [code for code in codes if now < code.valid_until and matches(code.code)]
            if found:
                codes.remove(found[0])
            return bool(found)

    def _drop_oldest(
        self, entries: OrderedDict[CodeScope, list[IssuedCode]] | OrderedDict[CodeScope, datetime]
    ) -> None:
        if len(entries) > self._max_scopes:
            entries.popitem(last=False)
