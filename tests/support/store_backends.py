"""The servers that the store's contract holds for, used with no more rights than the service asks for."""

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

PATIENT = RedisOptions(connect_timeout=5, read_timeout=10)
"""For a machine that does many things at once."""


class Backend(NamedTuple):
    """*client* may do everything, for tests to look in; the store works on *servers*, if not on that."""

    client: redis.Redis
    shebang: bool = True
    servers: RedisBackend | None = None


def let_in(nodes: Iterable[Server], username: str = USER, password: str = PASSWORD) -> str:
    """Make the service's own user on every server of *nodes*; return how a URL names it."""
    for node in nodes:
        run_command(node, "ACL", "SETUSER", username, "reset", "on", f">{password}", *server_rules())
    return f"{username}:{password}@"


def one_server(server: Server) -> RedisBackend:
    login = let_in([server])
    return from_url(server.url.replace("//", f"//{login}"), PATIENT)


def cluster(running: Cluster) -> RedisBackend:
    return from_url(running.url(let_in(running.nodes)), PATIENT)
