"""What the faults share: a ground per file, and a history per test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from faults.ground import Ground, prepared


@pytest.fixture(scope="module")
def shared_ground() -> Iterator[Ground]:
    with prepared() as ground:
        ground.begin()
        ground.is_well()  # so the scripts are loaded, whichever test comes first
        yield ground


@pytest.fixture
def ground(shared_ground: Ground) -> Iterator[Ground]:
    """The ground, healed and proven sound after each test."""
    shared_ground.begin()
    yield shared_ground
    shared_ground.end()
