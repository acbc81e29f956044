"""The request header `Idempotency-Key`, which makes a call safe to repeat.

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
"""The response header of a replayed result."""

KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")

MIN_PUBLIC_LENGTH = 16
"""Minimum length with a publishable key. Others must not be able to guess a browser's key, so it should be
random: `crypto.randomUUID()` has 36 characters."""


def read(header: str, body: Mapping[str, object], kind: KeyKind) -> IdempotencyKey:
    """Return the idempotency key of a request with this *header* and *body*.

    Two bodies with the same fields in another order are the same payload.

    Raises:
        InvalidRequest: the header is malformed, or too short for a publishable key.
    """
    if not KEY.fullmatch(header):
        raise _invalid("must be 1 to 255 printable ASCII characters")
    if kind is KeyKind.PUBLISHABLE and len(header) < MIN_PUBLIC_LENGTH:
        raise _invalid(f"must have at least {MIN_PUBLIC_LENGTH} characters with a publishable key")
    return IdempotencyKey(header, json.dumps(body, sort_keys=True, separators=(",", ":")).encode())


def _invalid(detail: str) -> InvalidRequest:
    return InvalidRequest([FieldError(pointer="", detail=f"Idempotency-Key {detail}")])
