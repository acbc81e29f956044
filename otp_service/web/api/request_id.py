"""Request ids: one per request, in its response headers, its log events and its problem document.

A context variable holds the id, so that code at any depth can add it to an event with `current()`.
"""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar

HEADER = "X-Request-Id"

GIVEN = re.compile(r"(?!.*[sp]k_)(?=.*[A-Za-z])(?:[0-9A-Fa-f-]{32,36}|(?!.*\d{5})[A-Za-z0-9_-]{8,64})")
"""An id that a server may supply, to follow a request through several logs. Nothing in this alphabet can
break a log line or a field. Text that looks like a key or a phone number does not match."""

_RANDOM_BYTES = 12

_CURRENT: ContextVar[str] = ContextVar("request_id", default="")


def begin() -> str:
    """Set a new random id for this request, and return it."""
    new = f"req_{secrets.token_urlsafe(_RANDOM_BYTES)}"
    _CURRENT.set(new)
    return new


def adopt(given: str | None) -> None:
    """Use *given* as the id of this request if it is well-formed.

    Call this only for callers that have authenticated with a secret key. Anyone else could make requests look
    like those of another caller in the log.
    """
    if given and GIVEN.fullmatch(given):
        _CURRENT.set(given)


def current() -> str:
    """Return the id of the current request, or the empty string outside of requests."""
    return _CURRENT.get()


def end() -> None:
    """Clear the id, so that later work of this thread is not logged under it."""
    _CURRENT.set("")
