"""Fixtures: one harness per file, and one history per test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from faults.harness import Harness, running_harness


@pytest.fixture(scope="module")
def shared_harness() -> Iterator[Harness]:
    with running_harness() as harness:
        harness.begin()
        harness.wait_until_healthy()  # loads the scripts, whichever test runs first
        yield harness


@pytest.fixture
def harness(shared_harness: Harness) -> Iterator[Harness]:
    """The harness; after each test all faults are cleared and the history is checked."""
    shared_harness.begin()
    yield shared_harness
    shared_harness.end()
