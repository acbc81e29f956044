"""Fixtures of the crowd tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.redis_servers import redis_binary, running
from support.service_on_redis import Stage, build, enforced


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A stage on its own Redis: the SMS to the phones of a country are counted in one key."""
    with running(redis_binary()) as server, server.client() as client:
        yield build(client, enforced())
