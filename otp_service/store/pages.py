"""Stores hosted pages: encrypted, and changed only by compare-and-set."""

from __future__ import annotations

from typing import Any

from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.hosted_page import PageEvent, PageQuota, StoredPage
from otp_service.store import decoding, keys
from otp_service.store.backend import Command
from otp_service.store.redis_client import RedisClient
from otp_service.store.scripts import Call

LIMITS = {
    PageEvent.CREATED: ("address_new_pages_per_10_minutes", "client_new_pages_per_10_minutes"),
    PageEvent.OPENED: ("address_pages_per_10_minutes", "client_pages_per_10_minutes"),
}
"""The names of the limits of each event: of one IP address, and of the client."""

_FORMAT = b"\x01"
_HEAD = 5
"""The length of the format byte and the four bytes of the version."""


class RedisPages:
    """Implements `interfaces.PageStore`."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    def check_rate(self, event: PageEvent, client: str, quota: PageQuota, ip_hash: str) -> None:
        """See `interfaces.PageStore.check_rate`."""
        ip_limit, client_limit = LIMITS[event]
        scopes = [(keys.page_counts(client, event, ip_hash), quota.per_ip, ip_limit)] if ip_hash else []
        scopes.append((keys.page_counts(client, event), quota.total, client_limit))
        limits = [value for _, limit, name in scopes for value in (limit, name)]
        (reply,) = self._redis.run_scripts([Call("page_rate_limit", [key for key, _, _ in scopes], limits)])
        decoding.raise_if_rejected(reply)

    def create(self, page_hash: str, encrypted: bytes, ttl: int) -> None:
        """See `interfaces.PageStore.create`."""
        value = _FORMAT + bytes(_HEAD - 1) + encrypted
        self._run_command(("SET", keys.page(page_hash), value, "EX", ttl, "NX"))

    def load(self, page_hash: str) -> StoredPage | None:
        """See `interfaces.PageStore.load`."""
        value = self._run_command(("GET", keys.page(page_hash)))
        if value is None:
            return None
        if not isinstance(value, bytes) or value[:1] != _FORMAT:
            raise StoreUnavailable  # written by a newer version
        return StoredPage(int.from_bytes(value[1:_HEAD], "big"), value[_HEAD:])

    def compare_and_set(self, page_hash: str, version: int, encrypted: bytes) -> bool:
        """See `interfaces.PageStore.compare_and_set`."""
        (reply,) = self._redis.run_scripts(
            [Call("page_compare_and_set", [keys.page(page_hash)], [version, encrypted])]
        )
        decoding.raise_if_rejected(reply)
        return bool(reply[0] == b"ok")

    def _run_command(self, command: Command) -> Any:
        (reply,) = self._redis.run_commands([command])
        return reply
