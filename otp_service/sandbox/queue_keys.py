"""The temporary keys to the account's queues that the sandbox handed out: in memory and bounded."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from datetime import datetime, timedelta

from otp_service.sandbox.sts_key import StsKey


class QueueKeys:
    """Hands temporary keys out and knows them again; the oldest ones go when there are too many."""

    def __init__(self, seconds: float, most: int = 1000) -> None:
        self._life = timedelta(seconds=seconds)
        self._most = most
        self._lock = threading.Lock()
        self._keys: OrderedDict[str, StsKey] = OrderedDict()

    def issue(self, now: datetime) -> tuple[str, StsKey]:
        """Make a key; returns its id, and what belongs to it."""
        access_key_id = f"STS.{secrets.token_hex(10)}"
        key = StsKey(secrets.token_urlsafe(24), secrets.token_urlsafe(48), now + self._life)
        with self._lock:
            self._keys[access_key_id] = key
            if len(self._keys) > self._most:
                self._keys.popitem(last=False)
        return access_key_id, key

    def find(self, access_key_id: str) -> StsKey | None:
        """Find a key by its id; None if it was never handed out, or long ago."""
        with self._lock:
            return self._keys.get(access_key_id)
