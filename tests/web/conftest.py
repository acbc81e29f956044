"""What the tests of the web room share."""

from __future__ import annotations

import pytest
from web.desk import Desk, open_desk


@pytest.fixture
def desk() -> Desk:
    return open_desk()
