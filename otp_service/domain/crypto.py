"""Keys and cryptography: HMAC over labelled fields, the derived keys and keyed hashes, AES-256-GCM.

Each use of a secret has a key of its own, derived by HMAC under a label, so that what one use reveals or
signs is worthless for another. Keyed hashes have a separate key, the pseudonym key: changing it resets all
limits, rotating the root secrets does not. This module is the only one that imports `cryptography`.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HASH_BYTES = 12
"""96 bits: short enough for a key, long enough that no two phones ever share one."""

FINGERPRINT_BYTES = 16

ID_BYTES = 16
"""128 bits: nobody guesses the id of a verification."""

MIN_SECRET_BYTES = 32

AES_KEY_BYTES = 32

NONCE_BYTES = 12
"""96 bits, the nonce size that NIST SP 800-38D recommends for GCM."""

GCM_TAG_BYTES = 16


def hmac_fields(key: bytes, fields: tuple[bytes, ...]) -> bytes:
    """HMAC-SHA256 over *fields*, each behind its length, so that no two lists of fields look alike."""
    message = b"".join([len(field).to_bytes(4, "big") + field for field in fields])
    return hmac.digest(key, message, "sha256")


@dataclass(frozen=True, slots=True)
class DerivedKeys:
    """The sub-keys of one root secret."""

    code: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    message_reference: bytes = field(repr=False)
    risk: bytes = field(repr=False)
    page: bytes = field(repr=False)


class Keyring:
    """Root secrets by key id; *active_kid* makes new codes, all of them verify.

    *roots* and *pseudonym_key* are at least 32 bytes each.
    """

    def __init__(self, roots: Mapping[str, bytes], active_kid: str, pseudonym_key: bytes) -> None:
        self._keys = {kid: _sub_keys(root) for kid, root in roots.items()}
        self.active_kid = active_kid
        self._pseudonym_key = pseudonym_key

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._keys)}; active {self.active_kid})"

    @cached_property
    def active(self) -> DerivedKeys:
        """The sub-keys that new codes are made with."""
        return self._keys[self.active_kid]

    @property
    def by_kid(self) -> Mapping[str, DerivedKeys]:
        """All sub-keys by key id."""
        return self._keys

    def phone_hash(self, e164: str) -> str:
        """Return the 16 characters that stand for a phone in keys and logs."""
        return _text(self._hash(b"phone", e164))

    def ip_hash(self, address: str) -> bytes:
        """Return the 12 bytes that stand for a requester's address in a record."""
        return self._hash(b"address", address)

    def prefix_hash(self, prefix: str) -> str:
        """Return the 16 characters that stand for the first digits of phones."""
        return _text(self._hash(b"prefix", prefix))

    def page_hash(self, page_id: str) -> str:
        """Return the 16 characters that stand for a hosted page."""
        return _text(self._hash(b"page", page_id))

    def verification_hash(self, verification_id: str) -> str:
        """Return the 16 characters that stand for a verification in keys, logs and what providers are sent.

        The id itself is a bearer secret: it is given to the asker and stands nowhere else.
        """
        return _text(self._hash(b"verification", verification_id))

    def verification_id(self, seed: str) -> str:
        """Return the id that a verification of *seed* (128 random bits) has.

        An idempotency record holds the seed, from which only the holder of the key finds the id again.
        """
        mac = hmac_fields(self._pseudonym_key, (b"verification_id", seed.encode()))
        return base64.urlsafe_b64encode(mac[:ID_BYTES]).decode().rstrip("=")

    def pseudonym_key_for(self, use: bytes) -> bytes:
        """Return the sub-key of the tag key for one *use*; it outlives the rotation of the roots."""
        return hmac_fields(self._pseudonym_key, (b"sub-key", use))

    def idempotency_key_hash(self, client: str, caller: str, call: str, key: str) -> str:
        """Return the 16 characters that stand for the idempotency *key* of one *call* by one *caller*."""
        fields = (client.encode(), caller.encode(), call.encode(), key.encode())
        return _text(hmac_fields(self._pseudonym_key, (b"claim", *fields))[:HASH_BYTES])

    def fingerprint(self, client: str, caller: str, call: str, key: str, payload: bytes) -> bytes:
        """Return the 16 bytes that stand for what a call under an idempotency key has said."""
        fields = (client.encode(), caller.encode(), call.encode(), key.encode(), payload)
        return hmac_fields(self._pseudonym_key, (b"fingerprint", *fields))[:FINGERPRINT_BYTES]

    def _hash(self, label: bytes, value: str) -> bytes:
        return hmac_fields(self._pseudonym_key, (b"tag", label, value.encode()))[:HASH_BYTES]


def _sub_keys(root: bytes) -> DerivedKeys:
    return DerivedKeys(
        code=hmac_fields(root, (b"sub-key", b"code")),
        digest=hmac_fields(root, (b"sub-key", b"digest")),
        message_reference=hmac_fields(root, (b"sub-key", b"out_id")),
        risk=hmac_fields(root, (b"sub-key", b"risk")),
        page=hmac_fields(root, (b"sub-key", b"page")),
    )


def _text(tag: bytes) -> str:
    return base64.urlsafe_b64encode(tag).decode()


def encrypt(key: bytes, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
    """Encrypt *plain* and authenticate it together with *associated*, which is not part of the result.

    Returns the nonce, the ciphertext and the tag, `NONCE_BYTES + GCM_TAG_BYTES` more bytes than *plain*.
    *key* has `AES_KEY_BYTES` bytes. *nonce* has `NONCE_BYTES` bytes, random and new for every call: two texts
    under the same key and nonce reveal each other.
    """
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def decrypt(key: bytes, encrypted: bytes, associated: bytes) -> bytes | None:
    """Decrypt what `encrypt` returned; None if the key or *associated* differ or any byte has changed."""
    if len(encrypted) < NONCE_BYTES + GCM_TAG_BYTES:
        return None
    try:
        return AESGCM(key).decrypt(encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:], associated)
    except InvalidTag:
        return None
