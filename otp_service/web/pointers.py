"""JSON pointers (RFC 6901): where in a body something is wrong. Touches nothing."""

from __future__ import annotations

import re

MAX_NAME = 64
"""Characters of a field's name that are told back. Names that are not ours come from a stranger."""

_NUMBER = re.compile(r"\d{5,}")
"""A name that holds a phone number or a code is a value in the wrong place; no answer repeats it."""


def pointer(*path: str | int) -> str:
    """Return the pointer to *path*; none at all is the whole body."""
    return "".join(f"/{_escaped(str(step))}" for step in path)


def _escaped(name: str) -> str:
    short = _NUMBER.sub("…", name[:MAX_NAME]).encode("utf-8", "replace").decode()
    return short.replace("~", "~0").replace("/", "~1")
