"""Authenticated encryption: AES-256-GCM, as the library `cryptography` implements it.

Without the key, sealed bytes can be neither read nor changed. This module is the only one that imports
`cryptography`.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32

NONCE_BYTES = 12
"""96 bits, the nonce size that NIST SP 800-38D recommends for GCM."""

TAG_BYTES = 16


def seal(key: bytes, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
    """Encrypt *plain* and authenticate it together with *associated*, which is not part of the result.

    Returns the nonce, the ciphertext and the tag: `NONCE_BYTES + TAG_BYTES` more than *plain* has. *key* has
    `KEY_BYTES`. *nonce* has `NONCE_BYTES`, random and new for every call: two texts under the same key and
    nonce reveal each other.
    """
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def unseal(key: bytes, sealed: bytes, associated: bytes) -> bytes | None:
    """Decrypt what `seal` returned; None if the key or *associated* differ or any byte has changed."""
    if len(sealed) < NONCE_BYTES + TAG_BYTES:
        return None
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated)
    except InvalidTag:
        return None
