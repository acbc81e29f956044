"""Request ids: one for every call, in its answer, its events and its problem. Touches randomness.

The id lives in a context variable, so that whoever records an event deeper down can add it by `current()`.
"""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar

HEADER = "X-Request-Id"

GIVEN = re.compile(r"(?!.*[sp]k_)(?=.*[A-Za-z])(?:[0-9A-Fa-f-]{32,36}|(?!.*\d{5})[A-Za-z0-9_-]{8,64})")
"""A server may bring an id of its own, to follow a call through several logs. Nothing in this alphabet can
break a line or a field of a log; what looks like a key or a phone number must not get into one."""

_RANDOM_BYTES = 12

_CURRENT: ContextVar[str] = ContextVar("request_id", default="")


def begin() -> str:
    """Give this call a fresh id, and return it."""
    fresh = f"req_{secrets.token_urlsafe(_RANDOM_BYTES)}"
    _CURRENT.set(fresh)
    return fresh


def adopt(given: str | None) -> None:
    """Make *given* the id of this call if it has the right form.

    Only for a caller that has authenticated with a secret key: anybody else could make calls look in the log
    like those of another caller.
    """
    if given and GIVEN.fullmatch(given):
        _CURRENT.set(given)


def current() -> str:
    """Return the id of the call that this thread works on; empty outside of calls."""
    return _CURRENT.get()


def end() -> None:
    """Forget the id, so that the thread's later work is not booked on this call."""
    _CURRENT.set("")
