"""The store under contract: on the fake and on both real servers."""

from __future__ import annotations

from collections.abc import Iterator

import fakeredis
import pytest
import redis
from servers import Server
from stories import Phone, make_phone


@pytest.fixture(params=["fakeredis", "redis", "valkey"])
def backend(request: pytest.FixtureRequest) -> Iterator[tuple[redis.Redis, bool]]:
    if request.param == "fakeredis":
        yield fakeredis.FakeRedis(), False
        return
    server = request.getfixturevalue(f"{request.param}_server")
    with server.client() as client:
        yield client, True


@pytest.fixture
def phone(backend: tuple[redis.Redis, bool]) -> Phone:
    """A phone that nothing is known of yet."""
    return make_phone(*backend)


@pytest.fixture
def real_phone(redis_server: Server) -> Iterator[Phone]:
    """As `phone`, on a real server only."""
    with redis_server.client() as client:
        yield make_phone(client)
