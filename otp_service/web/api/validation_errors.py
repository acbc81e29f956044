"""Field errors: what pydantic found wrong, told in our words and without a value."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from otp_service.domain.errors import FieldError, InvalidRequest
from otp_service.web.api.pointers import pointer

MAX_ERRORS = 16
"""Places that one answer names: a body of a thousand unknown fields must not cause a larger answer."""

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


def told(error: ValidationError) -> InvalidRequest:
    """Return *error* as the caller may see it."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return InvalidRequest(
        [
            FieldError(pointer=pointer(*place["loc"]), detail=_DETAILS.get(place["type"], "is not valid"))
            for place in found[:MAX_ERRORS]
        ]
    )
