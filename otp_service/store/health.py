"""Health: whether a server is fit to hold this service's memory. Touches Redis."""

from __future__ import annotations

from typing import Any

import redis

from otp_service.errors import StoreUnavailable
from otp_service.store import keys

MIN_VERSION = (7, 0)
"""`#!lua` scripts, refused whole when memory is full, came with Redis 7.0; every Valkey has them."""


class UnfitStore(StoreUnavailable):
    """The server answers but must not be used; *reason* is a sentence for the operator."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


def check(client: redis.Redis) -> None:
    """Write, and read what kind of server this is.

    Raises:
        UnfitStore: it could lose counters or codes.
        redis.RedisError: it does not answer or takes no writes.
    """
    pipeline = client.pipeline(transaction=False)
    pipeline.set(keys.PROBE, b"1", px=1000)
    pipeline.info()
    _, info = pipeline.execute()
    if reason := unfitness(info):
        raise UnfitStore(reason)


def unfitness(info: dict[str, Any]) -> str | None:
    """Return why a server with this INFO must not be used, None when it may."""
    policy = info.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        return f"Redis evicts keys (maxmemory-policy {policy}): set maxmemory-policy noeviction."
    if info.get("role") != "master":
        return "Redis is a replica: connect to its master."
    if "valkey_version" not in info and _version(info) < MIN_VERSION:
        return f"Redis {info.get('redis_version')} is too old: 7.0 or later, or Valkey, is needed."
    return None


def _version(info: dict[str, Any]) -> tuple[int, int]:
    major, minor, *_ = str(info.get("redis_version", "0.0")).split(".")
    return int(major), int(minor)
