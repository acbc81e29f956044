"""Sealed bytes: whoever holds them without the key can neither read nor change them. Touches nothing.

HMAC-SHA256 does both. In counter mode, under a nonce that is never used twice with the same key, it gives the
bytes that hide the plain ones; under a key of its own it then signs what was hidden. The standard library has
no cipher, and a few hundred bytes now and then are not worth a dependency.
"""

from __future__ import annotations

import hmac

from otp_service.codes import keyed_hash

NONCE_BYTES = 16
MAC_BYTES = 16
BLOCK_BYTES = 32
"""What one HMAC-SHA256 gives."""


def seal(key: bytes, nonce: bytes, plain: bytes) -> bytes:
    """Return *plain* as nobody can read it without *key*; *nonce* are fresh random `NONCE_BYTES`."""
    hidden = _hidden(key, nonce, plain)
    return nonce + _mac(key, nonce, hidden) + hidden


def unseal(key: bytes, sealed: bytes) -> bytes | None:
    """Return what was sealed with *key*; None when it was sealed with another, or changed since."""
    nonce, mac, hidden = (
        sealed[:NONCE_BYTES],
        sealed[NONCE_BYTES : NONCE_BYTES + MAC_BYTES],
        sealed[NONCE_BYTES + MAC_BYTES :],
    )
    if not hmac.compare_digest(mac, _mac(key, nonce, hidden)):
        return None
    return _hidden(key, nonce, hidden)


def _hidden(key: bytes, nonce: bytes, plain: bytes) -> bytes:
    """Return *plain* hidden, or hidden bytes plain: the same bytes are laid over both."""
    hiding = keyed_hash(key, (b"sealed", b"hide"))
    blocks = range(-(-len(plain) // BLOCK_BYTES))
    pad = b"".join(keyed_hash(hiding, (nonce, block.to_bytes(4, "big"))) for block in blocks)
    return bytes(a ^ b for a, b in zip(plain, pad, strict=False))


def _mac(key: bytes, nonce: bytes, hidden: bytes) -> bytes:
    signing = keyed_hash(key, (b"sealed", b"sign"))
    return keyed_hash(signing, (nonce, hidden))[:MAC_BYTES]
