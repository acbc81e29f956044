"""Borrowed servers: the Redis of somebody else's client, spoken to on connections of our own. Touches Redis.

A client of an application may retry, decode and wait as it likes. Here every command is sent once, so only
what leads to the server is taken from it: address, database, user and TLS.
"""

from __future__ import annotations

import redis
from redis.sentinel import SentinelConnectionPool

from otp_service.store.connect import LeanConnection, LeanUnixConnection, pooled
from otp_service.store.terms import Terms

Lender = redis.Redis
"""Whose servers can be borrowed."""

_WAY = ("host", "port", "path", "db", "username", "password", "credential_provider")


def borrow(client: Lender, terms: Terms) -> redis.Redis:
    """Return a client of the server that *client* speaks to; *client* stays as it is.

    Raises:
        TypeError: it is no client of one server: name Sentinels and clusters by their URL.
    """
    if not _is_of_one_server(client):
        raise TypeError("redis must be a redis.Redis of one server; name Sentinels and clusters in redis.url")
    pool = client.connection_pool
    given = pool.connection_kwargs
    way = {name: value for name, value in given.items() if name in _WAY or name.startswith("ssl_")}
    return pooled(_connection(pool.connection_class), terms, way)


def _is_of_one_server(client: object) -> bool:
    return isinstance(client, Lender) and not isinstance(client.connection_pool, SentinelConnectionPool)


def _connection(theirs: type) -> type:
    if issubclass(theirs, redis.UnixDomainSocketConnection):
        return LeanUnixConnection
    return theirs if issubclass(theirs, redis.SSLConnection) else LeanConnection
