"""Keys and cryptography: HMAC over labeled fields, the derived keys and keyed hashes, AES-256-GCM.

Each use of a secret has its own key, derived by HMAC with a label, so that a value made for one use is
worthless for another. Keyed hashes have a separate key, the pseudonym key. Changing it resets all limits;
rotating the root secrets does not. This module is the only one that imports `cryptography`.
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
"""96 bits: short enough for a Redis key, long enough that collisions of two phones are negligible."""

FINGERPRINT_BYTES = 16

ID_BYTES = 16
"""128 bits: the id of a verification cannot be guessed."""

MIN_SECRET_BYTES = 32

AES_KEY_BYTES = 32

NONCE_BYTES = 12
"""96 bits, the nonce size that NIST SP 800-38D recommends for GCM."""

GCM_TAG_BYTES = 16


def hmac_fields(key: bytes, fields: tuple[bytes, ...]) -> bytes:
    """Return the HMAC-SHA256 of *fields*. Length prefixes keep different lists of fields distinct."""
    message = b"".join([len(field).to_bytes(4, "big") + field for field in fields])
    return hmac.digest(key, message, "sha256")


@dataclass(frozen=True, slots=True)
class DerivedKeys:
    """The keys derived from one root secret."""

    code: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    message_reference: bytes = field(repr=False)
    risk: bytes = field(repr=False)
    page: bytes = field(repr=False)


class Keyring:
    """Holds the root secrets by key id. New codes use *active_kid*; all roots are accepted for verifying.

    Each of *roots* and *pseudonym_key* has at least `MIN_SECRET_BYTES` bytes.
    """

    def __init__(self, roots: Mapping[str, bytes], active_kid: str, pseudonym_key: bytes) -> None:
        self._keys = {kid: _derive_keys(root) for kid, root in roots.items()}
        self.active_kid = active_kid
        self._pseudonym_key = pseudonym_key

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._keys)}; active {self.active_kid})"

    @cached_property
    def active(self) -> DerivedKeys:
        """The derived keys for new codes."""
        return self._keys[self.active_kid]

    @property
    def by_kid(self) -> Mapping[str, DerivedKeys]:
        """All derived keys by key id."""
        return self._keys

    def phone_hash(self, e164: str) -> str:
        """Return the keyed hash of a phone for Redis keys and logs, 16 characters."""
        return _text(self._hash(b"phone", e164))

    def ip_hash(self, client_ip: str) -> bytes:
        """Return the keyed hash of an end user's IP address for the phone state, 12 bytes."""
        return self._hash(b"address", client_ip)

    def prefix_hash(self, prefix: str) -> str:
        """Return the keyed hash of a phone prefix, 16 characters."""
        return _text(self._hash(b"prefix", prefix))

    def page_hash(self, page_id: str) -> str:
        """Return the keyed hash of the id of a hosted page, 16 characters."""
        return _text(self._hash(b"page", page_id))

    def verification_hash(self, verification_id: str) -> str:
        """Return the keyed hash of a verification id, 16 characters, for keys, logs and message references.

        The id itself is a bearer secret: only the caller receives it.
        """
        return _text(self._hash(b"verification", verification_id))

    def verification_id(self, seed: str) -> str:
        """Return the verification id that belongs to *seed* (128 random bits).

        An idempotency record holds the seed. Deriving the id from it needs the pseudonym key.
        """
        mac = hmac_fields(self._pseudonym_key, (b"verification_id", seed.encode()))
        return base64.urlsafe_b64encode(mac[:ID_BYTES]).decode().rstrip("=")

    def pseudonym_key_for(self, use: bytes) -> bytes:
        """Return the key for one *use*, derived from the pseudonym key. Rotating the roots keeps it."""
        return hmac_fields(self._pseudonym_key, (b"sub-key", use))

    def idempotency_key_hash(self, client: str, caller: str, call: str, key: str) -> str:
        """Return the keyed hash of the idempotency *key* of one *call* by one *caller*, 16 characters."""
        fields = (client.encode(), caller.encode(), call.encode(), key.encode())
        return _text(hmac_fields(self._pseudonym_key, (b"claim", *fields))[:HASH_BYTES])

    def fingerprint(self, client: str, caller: str, call: str, key: str, payload: bytes) -> bytes:
        """Return the keyed hash of one idempotent *call* and its *payload*, `FINGERPRINT_BYTES` long."""
        fields = (client.encode(), caller.encode(), call.encode(), key.encode(), payload)
        return hmac_fields(self._pseudonym_key, (b"fingerprint", *fields))[:FINGERPRINT_BYTES]

    def _hash(self, label: bytes, value: str) -> bytes:
        return hmac_fields(self._pseudonym_key, (b"tag", label, value.encode()))[:HASH_BYTES]


def _derive_keys(root: bytes) -> DerivedKeys:
    return DerivedKeys(
        code=hmac_fields(root, (b"sub-key", b"code")),
        digest=hmac_fields(root, (b"sub-key", b"digest")),
        message_reference=hmac_fields(root, (b"sub-key", b"out_id")),
        risk=hmac_fields(root, (b"sub-key", b"risk")),
        page=hmac_fields(root, (b"sub-key", b"page")),
    )


def _text(keyed_hash: bytes) -> str:
    return base64.urlsafe_b64encode(keyed_hash).decode()


def encrypt(key: bytes, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
    """Encrypt *plain* and authenticate it together with *associated*, which is not part of the result.

    Returns the nonce, the ciphertext and the tag: `NONCE_BYTES + GCM_TAG_BYTES` bytes more than *plain*.
    *key* has `AES_KEY_BYTES` bytes. *nonce* has `NONCE_BYTES` bytes and must be random and new for every
    call: reusing a nonce with the same key reveals both texts.
    """
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def decrypt(key: bytes, encrypted: bytes, associated: bytes) -> bytes | None:
    """Decrypt a result of `encrypt`; return None if *key*, *associated* or any byte has changed."""
    if len(encrypted) < NONCE_BYTES + GCM_TAG_BYTES:
        return None
    try:
        return AESGCM(key).decrypt(encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:], associated)
    except InvalidTag:
        return None
