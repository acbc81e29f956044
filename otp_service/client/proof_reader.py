"""read_proof: check a proof with the client's proof keys, without asking the service. Touches the clock.

Whoever reads a proof itself must also see to it that it is used once; `OtpClient.redeem` does both.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from otp_service.client.errors import ApiError, from_problem
from otp_service.domain import errors
from otp_service.domain.proofs import MIN_PROOF_KEY_BYTES, Proof, ProofKeys, ProofSigner

ISSUER = "otp_service"

SEEN_SLACK = 600
"""Seconds for which a used proof is remembered beyond its end, for readers whose clocks are behind."""


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
    """Return the claims of *proof* if it is for *client* and *purpose* and is used for the first time.

    *keys* are the client's `proof_keys` as its configuration spells them, newest first. *seen* is called
    last, as `seen(jti, ttl)`: it must, in one atomic step, remember *jti* for *ttl* seconds and tell whether
    it knew it already, for all processes that read proofs: `not redis.set(jti, 1, nx=True, ex=ttl)`.
    Everything but False counts as seen. *now*, in unix seconds, stands in for the clock in tests.
    With *allow_test* the proofs of configured test phones count, too.

    Raises:
        InvalidProof: not signed with *keys* for this issuer, client and purpose, or of a test phone.
        ProofExpired: too old.
        ProofRedeemed: *seen* before.
        ValueError: *keys* holds no key, or a text that is none.
    """
    at = time.time() if now is None else now
    claims = _claims(proof, _signer(keys, client, issuer, at), purpose, allow_test=allow_test)
    if isinstance(claims, errors.ProofError):
        raise _told(claims)
    if seen(claims.verification_id, math.ceil(claims.expires_at - at) + SEEN_SLACK) is not False:
        raise _told(errors.ProofRedeemed())
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


def _told(error: errors.ProofError) -> ApiError:
    """Return the client's error of the same code, so that one `except` serves `redeem` and `read_proof`."""
    return from_problem(0, {"code": error.code, "title": error.title})
