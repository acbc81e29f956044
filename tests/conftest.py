"""Fixtures and settings of all tests."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from support import redis_clusters, redis_servers

# The speed of examples is not tested: it depends on how busy the machine is.
settings.register_profile(
    "unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")

# On a busy machine slow examples are not a defect.
hypothesis.settings.register_profile(
    "noisy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("noisy")


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
