"""The store on each backend: fakeredis, Redis, Valkey and a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import fakeredis
import pytest
import redis
from support import store_backends
from support.phone_in_store import Phone, make_phone
from support.redis_servers import Server
from support.store_backends import Backend


@pytest.fixture(params=["fakeredis", "redis", "valkey", "cluster"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    if request.param == "fakeredis":
        yield Backend(fakeredis.FakeRedis(), shebang=False)
    elif request.param == "cluster":
        cluster = request.getfixturevalue("redis_cluster")
        with cluster.client() as client:
            yield Backend(cast("redis.Redis", client), servers=store_backends.on_cluster(cluster))
    else:
        server = request.getfixturevalue(f"{request.param}_server")
        with server.client() as client:
            yield Backend(client, servers=store_backends.on_server(server))


@pytest.fixture
def phone(backend: Backend) -> Phone:
    """A phone without state."""
    return make_phone(*backend)


@pytest.fixture
def real_phone(redis_server: Server) -> Iterator[Phone]:
    """Like `phone`, but only on a real server."""
    with redis_server.client() as client:
        yield make_phone(client)
