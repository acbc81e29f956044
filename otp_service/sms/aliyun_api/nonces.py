"""Nonces: what makes a signed request unlike every other. Touches randomness once per process.

Aliyun refuses a nonce that it has seen within a quarter of an hour. It need not be secret, so that it is
random once and then counted: asking the system for randomness lets go of the interpreter.
"""

from __future__ import annotations

import itertools
import os
import secrets

_RANDOM_BYTES = 12


class Nonces:
    """Another text at each call, and in each process."""

    def __init__(self) -> None:
        self._restart()
        os.register_at_fork(after_in_child=self._restart)

    def _restart(self) -> None:
        self._start = secrets.token_hex(_RANDOM_BYTES)
        self._numbers = itertools.count()

    def __call__(self) -> str:
        """Return the next one."""
        return f"{self._start}{next(self._numbers):08x}"


FRESH = Nonces()
"""Those of this process."""
