"""Proofs: signed statements that a phone was verified for a purpose.

This module is the only one that imports itsdangerous. It replaces the defaults of that library: it uses
SHA-256 instead of SHA-1, HMAC key derivation, its own salt, and an expiry inside the signed claims that
readers always check.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode, int_to_bytes

from otp_service.domain.errors import InvalidProof, ProofExpired

if TYPE_CHECKING:  # readers of proofs need no phone metadata
    from otp_service.domain.phone import Phone

SALT = "otp_service.proof.v1"

LEEWAY = 5
"""Seconds by which the reader's clock may be behind the clock of the service that signed the proof."""

_PATTERN = re.compile(r"\.?[\w-]+\.[\w-]+\.[\w-]{42}[AEIMQUYcgkosw048]", re.ASCII)
"""Payload, time and signature in canonical base64. The decoder alone would also accept padding, characters
outside the alphabet, and any value of the unused bits of the last character."""

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
"""Created once: itsdangerous would create an encoder for every proof."""

SMS = "sms"
TEST = "test"
"""The `amr` value of configured test phones. Readers reject it unless they allow test proofs."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The claims of a proof. Times are in unix seconds; *verification_id* is the claim `jti`.

    *phone* is the full number in E.164. `repr` shows neither the number nor the id.
    """

    issuer: str
    client: str
    purpose: str
    phone: str
    verification_id: str
    issued_at: int
    expires_at: int
    amr: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Proof({self.client}, {self.purpose})"


@dataclass(frozen=True, slots=True)
class ProofKeys:
    """The keys for one client's proofs, newest first. The first key signs; all of them verify."""

    keys: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"ProofKeys({len(self.keys)})"


class ProofSigner:
    """Signs and verifies the proofs of one client."""

    def __init__(self, issuer: str, client: str, keys: ProofKeys, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._client = client
        self._clock = clock
        self._serializer = _Serializer(
            list(reversed(keys.keys)),  # itsdangerous signs with the last key
            salt=SALT,
            signer=_Signer,
            signer_kwargs={
                "key_derivation": "hmac",
                "digest_method": hashlib.sha256,
                "clock": clock,
            },
        )

    def mint(
        self,
        *,
        phone: Phone,
        purpose: str,
        verification_id: str,
        ttl: int,
        amr: Sequence[str] = (SMS,),
        at: int | None = None,
    ) -> str:
        """Return a proof that *phone* was verified for *purpose*, valid for *ttl* seconds.

        It is issued now, or *at* an earlier unix second. With *at*, equal arguments give equal proofs.
        """
        now = int(self._clock()) if at is None else at
        claims = {
            "iss": self._issuer,
            "aud": self._client,
            "purpose": purpose,
            "sub": phone.e164,
            "jti": verification_id,
            "iat": now,
            "exp": now + ttl,
            "amr": list(amr),
        }
        return self._serializer.dumps_at(claims, now)

    def read(self, proof: str, *, purpose: str, allow_test: bool = False) -> Proof:
        """Return the claims of *proof* after checking all of them.

        Raises:
            InvalidProof: the signature is invalid; the proof belongs to another client, purpose or issuer or
                is dated in the future; or it belongs to a test phone and *allow_test* is not set.
            ProofExpired: the proof has expired.
        """
        claims = self._claims(proof)
        if (claims.issuer, claims.client, claims.purpose) != (self._issuer, self._client, purpose):
            raise InvalidProof
        if TEST in claims.amr and not allow_test:
            raise InvalidProof
        now = self._clock()
        if now < claims.issued_at - LEEWAY:
            raise InvalidProof
        if now > claims.expires_at:
            raise ProofExpired
        return claims

    def _claims(self, proof: str) -> Proof:
        if not _PATTERN.fullmatch(proof):
            raise InvalidProof
        try:
            claims = self._serializer.loads(proof)
            return Proof(
                issuer=claims["iss"],
                client=claims["aud"],
                purpose=claims["purpose"],
                phone=claims["sub"],
                verification_id=claims["jti"],
                issued_at=claims["iat"],
                expires_at=claims["exp"],
                amr=tuple(claims["amr"]),
            )
        except (BadData, KeyError, TypeError):
            raise InvalidProof from None


class _Serializer(URLSafeTimedSerializer):
    """A serializer that keeps its signer and does not compress: claims are too short to benefit."""

    _cached_signer: _Signer | None = None

    def make_signer(self, salt: str | bytes | None = None) -> _Signer:
        if self._cached_signer is None:
            self._cached_signer = cast("_Signer", super().make_signer(salt))
        return self._cached_signer

    def dumps_at(self, claims: object, at: int) -> str:
        """Return *claims* with the signing time *at* (unix seconds)."""
        return self.make_signer(self.salt).sign_at(self.dump_payload(claims), at).decode()

    def dump_payload(self, obj: Any) -> bytes:
        return base64_encode(_JSON.encode(obj))


class _Signer(TimestampSigner):
    """A signer that takes its clock as an argument and derives each key once."""

    def __init__(self, *args: Any, clock: Callable[[], float], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clock = clock
        self._derived: dict[object, bytes] = {}

    def sign_at(self, value: bytes, at: int) -> bytes:
        """Return what `sign` would return for *value* at the unix second *at*."""
        timed = value + self.sep + base64_encode(int_to_bytes(at))
        return timed + self.sep + self.get_signature(timed)

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        if secret_key not in self._derived:
            self._derived[secret_key] = super().derive_key(secret_key)
        return self._derived[secret_key]

    def get_timestamp(self) -> int:
        return int(self._clock())
