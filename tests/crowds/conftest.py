"""What the stories of normal people share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.redis_servers import redis_binary, running
from support.service_on_redis import Stage, build, enforced


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A stage on a server of its own: what a country's phones are sent is counted in one place."""
    with running(redis_binary()) as server, server.client() as client:
        yield build(client, enforced())
