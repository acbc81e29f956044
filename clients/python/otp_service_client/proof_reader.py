"""Checks a proof with the client's proof keys, without a call to the service.

A backend that checks proofs itself must also ensure that each is used once; `OtpClient.redeem` does both.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from otp_service.domain import errors
from otp_service.domain.proofs import MIN_PROOF_KEY_BYTES, Proof, ProofKeys, ProofSigner
from otp_service_client.errors import ApiError, from_problem

ISSUER = "otp_service"

SEEN_SLACK = 600
"""How long a used proof is remembered after its expiry, in seconds, for readers whose clocks are slow."""


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
    `seen(jti, ttl)`. In one atomic step it must store *jti* for *ttl* seconds and tell whether it was stored
    already, across all processes that check proofs: `not redis.set(jti, 1, nx=True, ex=ttl)`. Any value
    except False counts as seen. *now*, in Unix seconds, replaces the clock in tests. With *allow_test*,
    proofs of configured test phones are valid too.

    Raises:
        InvalidProof: The proof is not signed with *keys* for this issuer, client and purpose, or belongs to a
            test phone.
        ProofExpired: The proof has expired.
        ProofRedeemed: *seen* returned that the proof was used before.
        ValueError: *keys* is empty, or contains a key that is too short.
    """
    at = time.time() if now is None else now
    claims = _claims(proof, _signer(keys, client, issuer, at), purpose, allow_test=allow_test)
    if isinstance(claims, errors.ProofError):
        raise _client_error(claims)
    if seen(claims.verification_id, math.ceil(claims.expires_at - at) + SEEN_SLACK) is not False:
        raise _client_error(errors.ProofRedeemed())
    return claims


def _signer(keys: Sequence[str], client: str, issuer: str, at: float) -> ProofSigner:
    if not keys or any(len(key.encode()) < MIN_PROOF_KEY_BYTES for key in keys):
        raise ValueError(f"keys must hold at least one key, each of at least {MIN_PROOF_KEY_BYTES} bytes")
    return ProofSigner(issuer, client, ProofKeys(tuple(key.encode() for key in keys)), lambda: at)


def _claims(proof: str, signer: ProofSigner, purpose: str, *, allow_test: bool) -> Proof | errors.ProofError:
    try:
        return signer.read(proof, purpose=purpose, allow_test=allow_test)
    except errors.ProofError as error:
        return error


def _client_error(error: errors.ProofError) -> ApiError:
    """Return the client's error with the same code, so that `redeem` and `read_proof` raise the same."""
    return from_problem(0, {"code": error.code, "title": error.title})
