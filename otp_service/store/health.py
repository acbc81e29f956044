"""Checks whether Redis servers are suitable for this service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from otp_service.domain.errors import StoreUnavailable
from otp_service.store import keys
from otp_service.store.backend import RedisBackend, RedisNode

MIN_VERSION = (7, 0)
"""Since 7.0, Redis refuses a script with `#!lua` as a whole if memory is full. Every Valkey does too."""

PROBES = 4_096
"""Keys to try until each server owns one; enough for hundreds of servers."""

Info = dict[str, str]
"""A server's reply to INFO."""


class UnsuitableRedis(StoreUnavailable):
    """The server answers but must not be used; *reason* is a sentence for the operator."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Inspection:
    """The number of *servers*, the *version* of one, and the *unsuitability* of one: why it must not be used.

    *persists*: all servers have an append-only file. *replicas*: those of the server with the fewest.
    """

    version: str
    unsuitability: str
    persists: bool
    servers: int = 1
    replicas: int = 0


def check(backend: RedisBackend, replicas: int) -> bool:
    """Write to every server and check its INFO; return whether all persist by an append-only file.

    Raises:
        UnsuitableRedis: a server could lose counters or codes, or has fewer than *replicas* replicas.
        redis.RedisError: a server does not answer or accepts no writes.
    """
    all_persist = True
    for node, probe in _probes(backend, backend.primaries()):
        _, reply = node.execute([("SET", probe, b"1", "PX", 1000), ("INFO",)]).raise_errors()
        info = read_info(reply)
        if reason := unsuitability(info, replicas, in_cluster=backend.is_cluster):
            raise UnsuitableRedis(reason)
        all_persist = all_persist and is_persistent(info)
    return all_persist


def inspect(backend: RedisBackend, replicas: int) -> Inspection:
    """Return what the servers say about themselves. Each should have *replicas* replicas.

    Raises:
        redis.RedisError: a server does not answer, or does not allow INFO.
    """
    infos = [read_info(node.execute([("INFO",)]).raise_errors()[0]) for node in backend.primaries()]
    reasons = (unsuitability(info, replicas, in_cluster=backend.is_cluster) for info in infos)
    return Inspection(
        version=_name(infos[0]),
        unsuitability=next(filter(None, reasons), ""),
        persists=all(map(is_persistent, infos)),
        servers=len(infos),
        replicas=min(int(info.get("connected_slaves", 0)) for info in infos),
    )


def read_info(reply: Mapping[str, object]) -> Info:
    """Return a reply to INFO as text; redis-py turns some values into numbers."""
    return {name: str(value) for name, value in reply.items()}


def unsuitability(info: Info, replicas: int, *, in_cluster: bool) -> str | None:
    """Return why a server with this INFO must not be used, or None."""
    policy = info.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        return f"Redis evicts keys (maxmemory-policy {policy}): set maxmemory-policy noeviction."
    if info.get("role") != "master":
        return "Redis is a replica: connect to its master."
    if "valkey_version" not in info and _version(info) < MIN_VERSION:
        return f"Redis {info.get('redis_version')} is too old: use Redis 7.0 or later, or Valkey."
    if info.get("cluster_enabled") == "1" and not in_cluster:
        return "Redis is part of a cluster: use a redis.url that begins with redis+cluster://."
    if int(info.get("connected_slaves", 0)) < replicas:
        return (
            f"Redis has fewer replicas than redis.min_replica_acks ({replicas}): no write would be confirmed."
        )
    return None


def is_persistent(info: Info) -> bool:
    """Return whether a server with this INFO has an append-only file, so that its data survives a restart."""
    return info.get("aof_enabled") == "1"


def _name(info: Info) -> str:
    if version := info.get("valkey_version"):
        return f"Valkey {version}"
    return f"Redis {info.get('redis_version', 'of an unknown version')}"


def _version(info: Info) -> tuple[int, int]:
    major, minor, *_ = info.get("redis_version", "0.0").split(".")
    return int(major), int(minor)


def _probes(backend: RedisBackend, primaries: Sequence[RedisNode]) -> list[tuple[RedisNode, str]]:
    """Return each of *primaries* with a key that it owns."""
    found: dict[RedisNode, str] = {}
    for number in range(PROBES):
        found.setdefault(backend.node_for(keys.probe(number)), keys.probe(number))
        if found.keys() >= set(primaries):
            break
    return list(found.items())
