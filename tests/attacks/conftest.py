"""What the attacks share: one target per module, proven sound when its last attack is over."""

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
    """As `target`, and its time can be moved."""
    with running_target(movable=True) as running:
        yield running
