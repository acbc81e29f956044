"""Fixtures of the crowd tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.redis_servers import redis_binary, running
from support.service_on_redis import Simulation, build, enforcing_risk_policy


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """A simulation on its own Redis, because all SMS to a country are counted in one key."""
    with running(redis_binary()) as server, server.client() as client:
        yield build(client, enforcing_risk_policy())
