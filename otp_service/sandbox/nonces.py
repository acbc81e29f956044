"""The signature nonces seen lately, in memory, thread-safe and bounded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta

#: As long as a timestamp can be valid: a quarter of an hour ahead, and one behind.
MEMORY = timedelta(minutes=30)


class Nonces:
    """Which nonces each access key has used: the *most* recent ones, as memory is finite."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, str], datetime] = OrderedDict()

    def use(self, access_key_id: str, nonce: str, now: datetime) -> bool:
        """Use a nonce up; tells whether it was still fresh."""
        with self._lock:
            self._forget(now)
            if (access_key_id, nonce) in self._seen:
                return False
            self._seen[access_key_id, nonce] = now
            if len(self._seen) > self._most:
                self._seen.popitem(last=False)
            return True

    def _forget(self, now: datetime) -> None:
        while self._seen and now - next(iter(self._seen.values())) > MEMORY:
            self._seen.popitem(last=False)
