"""Fixtures: one target per module, whose history is checked after its last attack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attacks.target import Target, running_target


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with running_target() as running:
        yield running


@pytest.fixture(scope="module")
def movable_target() -> Iterator[Target]:
    """Like `target`, with a clock that the test can advance."""
    with running_target(movable=True) as running:
        yield running
