"""Request ids: one for every call, in its answer, its events and its problem. Touches randomness once.

The id lives in a context variable, so that whoever records an event deeper down can add it by `current()`.
"""

from __future__ import annotations

import itertools
import os
import re
import secrets
from contextvars import ContextVar

HEADER = "X-Request-Id"

GIVEN = re.compile(r"(?!.*[sp]k_)(?=.*[A-Za-z])(?:[0-9A-Fa-f-]{32,36}|(?!.*\d{5})[A-Za-z0-9_-]{8,64})")
"""A caller may bring an id of its own, to follow a call through several logs. Nothing in this alphabet can
break a line or a field of a log; what looks like a key or a phone number must not get into one."""

_PREFIX_BYTES = 9


class _Fresh:
    """Ids that are unique, not secret: random once per process, then counted.

    Asking the system for randomness in every call costs a tenth of a verify under load.
    """

    def __init__(self) -> None:
        self._restart()
        os.register_at_fork(after_in_child=self._restart)

    def _restart(self) -> None:
        self._prefix = f"req_{secrets.token_urlsafe(_PREFIX_BYTES)}"
        self._numbers = itertools.count()

    def __call__(self) -> str:
        return f"{self._prefix}{next(self._numbers):06x}"


_FRESH = _Fresh()
_CURRENT: ContextVar[str] = ContextVar("request_id", default="")


def begin(given: str | None) -> str:
    """Make *given* the id of this call if it has the right form, else a fresh one; return it."""
    chosen = given if given and GIVEN.fullmatch(given) else _FRESH()
    _CURRENT.set(chosen)
    return chosen


def current() -> str:
    """Return the id of the call that this thread works on; empty outside of calls."""
    return _CURRENT.get()


def end() -> None:
    """Forget the id, so that the thread's later work is not booked on this call."""
    _CURRENT.set("")
