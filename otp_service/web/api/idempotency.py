"""The header `Idempotency-Key`: what a caller says about a call that it may repeat.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from otp_service.domain.clients import KeyKind
from otp_service.domain.errors import FieldError, InvalidRequest
from otp_service.services.idempotency import IdempotencyKey

REPLAYED = ("Idempotency-Replayed", "true")
"""The header of an answer that was given before."""

KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


MIN_PUBLIC_LENGTH = 16
"""Characters. A browser's key is known to nobody else only if it is random: `crypto.randomUUID()` has 36."""


def read(header: str | None, body: Mapping[str, object], kind: KeyKind) -> IdempotencyKey | None:
    """Return what *header* says about a call with *body* and a key of this *kind*, None without a header.

    The same fields in another order are the same payload.

    Raises:
        InvalidRequest: it is not an idempotency key, or too short for a publishable key.
    """
    if header is None:
        return None
    if not KEY.fullmatch(header):
        raise _invalid("must be 1 to 255 printable ASCII characters")
    if kind is KeyKind.PUBLISHABLE and len(header) < MIN_PUBLIC_LENGTH:
        raise _invalid(f"must have at least {MIN_PUBLIC_LENGTH} characters with a publishable key")
    return IdempotencyKey(header, json.dumps(body, sort_keys=True, separators=(",", ":")).encode())


def _invalid(detail: str) -> InvalidRequest:
    return InvalidRequest([FieldError(pointer="", detail=f"Idempotency-Key {detail}")])
