"""The header `Idempotency-Key`: what a caller says about a call that it may repeat. Touches nothing.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from otp_service.errors import FieldError, InvalidRequest
from otp_service.repeats import Repeat

REPLAYED = ("Idempotency-Replayed", "true")
"""The header of an answer that was given before."""

KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


def read(header: str | None, body: Mapping[str, object]) -> Repeat | None:
    """Return what *header* says about a call with *body*, nothing without one.

    The same fields in another order are the same payload.

    Raises:
        InvalidRequest: it is no key.
    """
    if header is None:
        return None
    if not KEY.fullmatch(header):
        detail = "Idempotency-Key must be 1 to 255 printable ASCII characters"
        raise InvalidRequest([FieldError(pointer="", detail=detail)])
    return Repeat(header, json.dumps(body, sort_keys=True, separators=(",", ":")).encode())
