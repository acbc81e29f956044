"""Fixtures and settings of all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from support import redis_clusters, redis_servers

# On a busy machine, a slow example is not a defect. `--hypothesis-profile=thorough` draws more examples.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("default"), max_examples=1_000)
settings.load_profile("default")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes `-n auto` starts: more than cores, because many tests wait for servers."""
    return (os.cpu_count() or 1) + 2


_shared: list[redis_servers.Server] = []
"""Servers that outlive a module; each module finds them empty."""


@pytest.fixture(autouse=True, scope="module")
def _empty_servers() -> None:
    """Flush the servers before each module, so that one module does not use up the limits of the next."""
    for server in _shared:
        with server.client() as client:
            client.flushall()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[redis_servers.Server]:
    """Debian's Redis. The tests of one module share its data and must not flush it."""
    with redis_servers.running(redis_servers.redis_binary()) as server:
        _shared.append(server)
        yield server
        _shared.remove(server)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[redis_servers.Server]:
    """The Valkey of the embedded extra."""
    with redis_servers.running(redis_servers.valkey_binary()) as server:
        _shared.append(server)
        yield server
        _shared.remove(server)


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[redis_clusters.Cluster]:
    """Three masters. The tests of one module share their data and must not flush them."""
    with redis_clusters.running_cluster(redis_servers.redis_binary()) as cluster:
        _shared.extend(cluster.masters)
        yield cluster
        for master in cluster.masters:
            _shared.remove(master)
