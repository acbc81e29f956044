"""Inspection: what the servers say about themselves, as plain facts. Touches Redis."""

from __future__ import annotations

from dataclasses import dataclass

from otp_service.store.backend import RedisBackend
from otp_service.store.health import Info, is_persistent, read_info, unsuitability


@dataclass(frozen=True, slots=True)
class Inspection:
    """So many *servers*: the *version* of one, why any is *unfit*, and whether all *persist* by a log.

    *replicas* are those of the server that has fewest.
    """

    version: str
    unfit: str
    persists: bool
    servers: int = 1
    replicas: int = 0


def inspect(backend: RedisBackend, replicas: int) -> Inspection:
    """Return what servers say about themselves, of which *replicas* are asked for.

    Raises:
        redis.RedisError: one does not answer, or may not be asked.
    """
    told = [read_info(node.execute([("INFO",)]).raise_errors()[0]) for node in backend.primaries()]
    unfit = (unsuitability(info, replicas, in_cluster=backend.is_cluster) for info in told)
    return Inspection(
        version=_name(told[0]),
        unfit=next(filter(None, unfit), ""),
        persists=all(map(is_persistent, told)),
        servers=len(told),
        replicas=min(int(info.get("connected_slaves", 0)) for info in told),
    )


def _name(info: Info) -> str:
    if version := info.get("valkey_version"):
        return f"Valkey {version}"
    return f"Redis {info.get('redis_version', 'of an unknown version')}"
