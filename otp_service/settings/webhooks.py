"""A webhook in settings: its address, and its secret as Standard Webhooks spells it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from pydantic import SecretStr

from otp_service.settings.addresses import webhook_fault
from otp_service.settings.issues import Mistake

PREFIX = "whsec_"
MIN_BYTES, MAX_BYTES = 24, 64
"""As https://github.com/standard-webhooks/standard-webhooks demands."""

_MIN_DIFFERENT = 8
"""Different bytes in a secret: 24 random ones have never had fewer."""


def webhook_mistakes(where: str, url: str, secret: SecretStr | None) -> Iterator[Mistake]:
    """Tell what is wrong with a webhook whose two settings are *where* with `url` and `secret` behind it."""
    if fault := webhook_fault(url) if url else "is required":
        yield Mistake(f"{where}url", fault)
    if fault := _secret_fault(secret.get_secret_value() if secret else ""):
        yield Mistake(f"{where}secret", fault)


def _secret_fault(text: str) -> str:
    if not text:
        return "is required"
    key = _decoded(text)
    if not text.startswith(PREFIX) or not key:
        return f"must be {PREFIX} and base64"
    if not MIN_BYTES <= len(key) <= MAX_BYTES:
        return f"must hold {MIN_BYTES} to {MAX_BYTES} random bytes"
    return "" if len(set(key)) >= _MIN_DIFFERENT else "is not random"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""
