"""How long to wait after failures. Touches randomness, unless it is given."""

from __future__ import annotations

import secrets
from collections.abc import Callable

FIRST_SECONDS = 0.5
MOST_SECONDS = 30.0

_chance = secrets.SystemRandom().random


class Backoff:
    """Waits that double from one failure to the next, up to `MOST_SECONDS`.

    Of each, up to half is left out by *chance* (0 to 1), so that workers which failed together don't come
    back together.
    """

    def __init__(self, chance: Callable[[], float] = _chance) -> None:
        self._chance = chance
        self._failures = 0

    def next(self) -> float:
        """Return the seconds to wait after one more failure."""
        seconds = min(FIRST_SECONDS * 2.0 ** min(self._failures, 16), MOST_SECONDS)
        self._failures += 1
        return seconds * (1 - self._chance() / 2)

    def reset(self) -> None:
        """Begin anew: something went well."""
        self._failures = 0
