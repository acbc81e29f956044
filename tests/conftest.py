"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import clusters
import hypothesis
import pytest
import servers
from hypothesis import HealthCheck, settings

# A busy machine is no defect: how quickly examples come is not what these tests are about.
settings.register_profile(
    "unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")

# On a busy machine a slow draw or example is the machine's fault.
hypothesis.settings.register_profile(
    "noisy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("noisy")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[servers.Server]:
    """Debian's Redis; tests that share it must not flush it."""
    with servers.running(servers.redis_binary()) as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[servers.Server]:
    """The Valkey of the embedded extra."""
    with servers.running(servers.valkey_binary()) as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[clusters.Cluster]:
    """Three masters; tests that share them must not flush them."""
    with clusters.running_cluster(servers.redis_binary()) as cluster:
        yield cluster
