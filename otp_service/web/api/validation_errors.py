"""Converts pydantic's validation errors to those of the API: a place and our own text, never a value."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import ValidationError

from otp_service.domain.errors import FieldError, InvalidRequest

MAX_ERRORS = 16
"""Errors reported per response, so that a body with many unknown fields does not cause a large response."""

_SAFE_NAME = re.compile(r"[A-Za-z_]{1,32}")
"""Field names that are repeated to the caller. Others may be a number, a code or a key in the wrong place."""

_DETAILS: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "string_type": "must be text",
    "string_unicode": "is not valid Unicode text",
    "string_too_long": "is too long",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "does not have the right form",
    "bool_type": "must be true or false",
}


def to_invalid_request(error: ValidationError) -> InvalidRequest:
    """Convert *error* to the error that the API reports."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return InvalidRequest(
        [
            FieldError(pointer=json_pointer(*item["loc"]), detail=_DETAILS.get(item["type"], "is not valid"))
            for item in found[:MAX_ERRORS]
        ]
    )


def json_pointer(*path: str | int) -> str:
    """Return the JSON pointer (RFC 6901) to *path*; the empty path is the whole body."""
    return "".join(f"/{_safe(step)}" for step in path)


def _safe(step: str | int) -> str:
    return str(step) if isinstance(step, int) or _SAFE_NAME.fullmatch(step) else "…"
