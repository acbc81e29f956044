"""Inspection: what a server says about itself, as plain facts. Touches Redis."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from otp_service.store.health import unfitness


@dataclass(frozen=True, slots=True)
class Inspection:
    """A server: its name and *version*, why it is *unfit* if it is, and whether it *persists* by its log."""

    version: str
    unfit: str
    persists: bool


def inspect(client: redis.Redis) -> Inspection:
    """Return what a server says about itself.

    Raises:
        redis.RedisError: it does not answer, or may not be asked.
    """
    info = client.info()
    if version := info.get("valkey_version"):
        name = f"Valkey {version}"
    else:
        name = f"Redis {info.get('redis_version', 'of an unknown version')}"
    return Inspection(name, unfitness(info) or "", persists=bool(info.get("aof_enabled")))
