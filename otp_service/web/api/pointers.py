"""JSON pointers (RFC 6901): where in a body something is wrong."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z_]{1,32}")
"""What is told back of a stranger's field. The rest may be a number, a code or a key in the wrong place."""


def pointer(*path: str | int) -> str:
    """Return the pointer to *path*; none at all is the whole body."""
    return "".join(f"/{_told(step)}" for step in path)


def _told(step: str | int) -> str:
    return str(step) if isinstance(step, int) or _NAME.fullmatch(step) else "…"
