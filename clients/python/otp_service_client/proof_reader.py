"""Checks a proof with the client's proof keys, without a call to the service.

A backend that checks proofs itself must also ensure that each is used once; `OtpClient.redeem` does both.
"""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from itsdangerous import BadData, URLSafeTimedSerializer

from otp_service_client.errors import InvalidProof, ProofError, ProofExpired, ProofRedeemed

ISSUER = "otp_service"

MIN_KEY_BYTES = 32

SEEN_SLACK = 600
"""How long a used proof is remembered after its expiry, in seconds, for readers whose clocks are slow."""

_SALT = "otp_service.proof.v1"

_LEEWAY = 5
"""Seconds by which the reader's clock may be behind the service's."""

_FORMAT = re.compile(r"\.?[\w-]+\.[\w-]+\.[\w-]{42}[AEIMQUYcgkosw048]", re.ASCII)
"""Payload, time and signature, exactly as the service writes them. The decoder alone would also accept
padding, characters that are not base64, and any value in the unused bits of the last character."""

_TEST = "test"
"""The method in `amr` of a configured test phone."""

_TITLES: dict[type[ProofError], str] = {
    InvalidProof: "The proof is not valid.",
    ProofExpired: "The proof has expired.",
    ProofRedeemed: "The proof has already been redeemed.",
}
"""The titles of the service's problem documents, so that `redeem` and `read_proof` raise the same."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The claims of a proof. Times are in Unix seconds. `verification_id` is also the `jti`.

    `phone` is the full number in E.164. `repr` shows neither it nor the id.
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


def read_proof(
    proof: str,
    *,
    keys: Sequence[str],
    client: str,
    purpose: str,
    seen: Callable[[str, int], bool],
    issuer: str = ISSUER,
    now: float | None = None,
    allow_test: bool = False,
) -> Proof:
    """Return the claims of *proof* if it is valid for *client* and *purpose* and has not been used before.

    *keys* are the client's `proof_keys` as in its configuration, newest first. *seen* is called last, as
    `seen(jti, ttl)`. In one atomic step, it must store *jti* for *ttl* seconds and return whether it was
    already stored. All processes that check proofs must share this store. An example for Redis is
    `not redis.set(jti, 1, nx=True, ex=ttl)`. Any value except False counts as seen. *now*, in Unix seconds,
    replaces the clock in tests. With *allow_test*, proofs of configured test phones are valid too.

    Raises:
        InvalidProof: The proof is not signed with *keys* for this issuer, client and purpose, or belongs to a
            test phone.
        ProofExpired: The proof has expired.
        ProofRedeemed: The proof was used before, according to *seen*.
        ValueError: *keys* is empty, or contains a key that is too short.
    """
    if not keys or any(len(key.encode()) < MIN_KEY_BYTES for key in keys):
        raise ValueError(f"keys must contain at least one key, each of at least {MIN_KEY_BYTES} bytes")
    at = time.time() if now is None else now
    claims = _signed_claims(proof, keys)
    if claims is None or (claims.issuer, claims.client, claims.purpose) != (issuer, client, purpose):
        raise _error(InvalidProof)
    if _TEST in claims.amr and not allow_test:
        raise _error(InvalidProof)
    if at < claims.issued_at - _LEEWAY:
        raise _error(InvalidProof)
    if at > claims.expires_at:
        raise _error(ProofExpired)
    if seen(claims.verification_id, math.ceil(claims.expires_at - at) + SEEN_SLACK) is not False:
        raise _error(ProofRedeemed)
    return claims


def _signed_claims(proof: str, keys: Sequence[str]) -> Proof | None:
    """Return the claims if they are signed with one of *keys*, else None."""
    if not _FORMAT.fullmatch(proof):
        return None
    serializer = URLSafeTimedSerializer(
        list(reversed(keys)),  # itsdangerous expects the newest last
        salt=_SALT,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
    try:
        claims = serializer.loads(proof)
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
        return None


def _error(kind: type[ProofError]) -> ProofError:
    return kind(code=kind.code, title=_TITLES[kind])
