"""Proofs: the signed statement "this phone was verified for this purpose", minted and read.

The one door to itsdangerous. Its defaults are not used: SHA-256 instead of SHA-1, HMAC key derivation, a
salt of our own, and an expiry inside the signed text that no reader can forget to check.
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

if TYPE_CHECKING:  # whoever only reads proofs need not load phone metadata
    from otp_service.domain.phone import Phone

SALT = "otp_service.proof.v1"

MIN_PROOF_KEY_BYTES = 32

LEEWAY = 5
"""Seconds by which a reader's clock may be behind the minter's."""

_FORM = re.compile(r"\.?[\w-]+\.[\w-]+\.[\w-]{42}[AEIMQUYcgkosw048]", re.ASCII)
"""Payload, time and signature, in the one spelling that we give: the decoder would also pass over padding,
what is no base64 and the spare bits of the last character."""

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
"""Made once: itsdangerous would make one per proof."""

SMS = "sms"
TEST = "test"
"""The method in `amr` of a configured test phone: refused unless asked for."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The claims of a proof. Times in unix seconds; `verification_id` is also its `jti`.

    `phone` is the full number in E.164; `repr` shows neither it nor the id.
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
    """The keys of one client's proofs, newest first: the first signs, all of them verify."""

    keys: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"ProofKeys({len(self.keys)})"


class ProofSigner:
    """Mints and reads the proofs of one client."""

    def __init__(self, issuer: str, client: str, keys: ProofKeys, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._client = client
        self._clock = clock
        self._serializer = _Serializer(
            list(reversed(keys.keys)),  # itsdangerous signs with the last
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
        """Return the proof that *phone* was verified for *purpose*, good for *ttl* seconds.

        It is issued now, or *at* an earlier unix second: the same facts make the same proof.
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
        """Return the claims of *proof* if all of them are as expected.

        Raises:
            InvalidProof: not ours, or of another client, purpose or issuer, or from the future, or of a
                test phone without *allow_test*.
            ProofExpired: older than it says it may be.
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
        if not _FORM.fullmatch(proof):
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
    """One that keeps its signer and does not try to compress: claims are too short for it to pay."""

    _made: _Signer | None = None

    def make_signer(self, salt: str | bytes | None = None) -> _Signer:
        if self._made is None:
            self._made = cast("_Signer", super().make_signer(salt))
        return self._made

    def dumps_at(self, claims: object, at: int) -> str:
        """Return *claims* signed as of unix second *at*."""
        return self.make_signer(self.salt).sign_at(self.dump_payload(claims), at).decode()

    def dump_payload(self, obj: Any) -> bytes:
        return base64_encode(_JSON.encode(obj))


class _Signer(TimestampSigner):
    """A signer whose clock is an argument."""

    def __init__(self, *args: Any, clock: Callable[[], float], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clock = clock
        self._derived: dict[object, bytes] = {}

    def sign_at(self, value: bytes, at: int) -> bytes:
        """Return *value* with the time *at* and a signature over both, as `sign` would at that second."""
        timed = value + self.sep + base64_encode(int_to_bytes(at))
        return timed + self.sep + self.get_signature(timed)

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        if secret_key not in self._derived:
            self._derived[secret_key] = super().derive_key(secret_key)
        return self._derived[secret_key]

    def get_timestamp(self) -> int:
        return int(self._clock())
