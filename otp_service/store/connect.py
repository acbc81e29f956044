"""Connecting: a URL becomes a client whose every command is sent once and answered soon. Touches Redis."""

from __future__ import annotations

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def connect(
    url: str, *, pool_size: int = 32, connect_timeout: float = 0.5, read_timeout: float = 0.5
) -> redis.Redis:
    """Return a client for `redis://`, `rediss://` or `unix://`; nothing is sent before its first command.

    redis-py would by default send a command up to ten times when its answer is lost, and a script that ran
    twice has counted twice. Time-outs in seconds; *read_timeout* also ends the wait for one of the
    *pool_size* connections.
    """
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=pool_size,
        timeout=read_timeout,
        socket_connect_timeout=connect_timeout,
        socket_timeout=read_timeout,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        health_check_interval=0,
        decode_responses=False,
        # RESP2 needs no greeting, and without a name there is no CLIENT SETINFO: connecting is one trip.
        protocol=2,
        driver_info=None,
    )
    return redis.Redis.from_pool(pool)
