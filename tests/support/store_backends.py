"""The Redis backends of the store tests. The store logs in as a user with the documented ACL."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import NamedTuple

import redis
from support.redis_clusters import Cluster, run_command
from support.redis_servers import Server

from otp_service.store.acl import USER, server_rules
from otp_service.store.backend import RedisBackend
from otp_service.store.client import RedisOptions, from_url

PASSWORD = secrets.token_urlsafe(16)

LONG_TIMEOUTS = RedisOptions(connect_timeout=5, read_timeout=10)
"""For a busy machine."""


class Backend(NamedTuple):
    """A *client* with all rights for the tests; the store uses *servers*, or *client* if that is None."""

    client: redis.Redis
    shebang: bool = True
    servers: RedisBackend | None = None


def create_service_user(nodes: Iterable[Server], username: str = USER, password: str = PASSWORD) -> str:
    """Create the service's user on all *nodes*; return its login for a URL, such as `user:password@`."""
    for node in nodes:
        run_command(node, "ACL", "SETUSER", username, "reset", "on", f">{password}", *server_rules())
    return f"{username}:{password}@"


def on_server(server: Server) -> RedisBackend:
    login = create_service_user([server])
    return from_url(server.url.replace("//", f"//{login}"), LONG_TIMEOUTS)


def on_cluster(cluster: Cluster) -> RedisBackend:
    return from_url(cluster.url(create_service_user(cluster.nodes)), LONG_TIMEOUTS)
