"""Checks whether a response belongs to the call that was made.

On a connection on which requests and responses are out of step, a well-formed response may belong to another
call.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from otp_service_client.responses import Approved, Redeemed, Sent, VerificationStatus

_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")
"""Characters that the service ignores in a pasted id."""


def no_check(_: object) -> bool:
    """Accept a response that has nothing to compare with the call."""
    return True


def for_purpose(purpose: str | None) -> Callable[[Sent], bool]:
    """Return a check that a new verification has the *purpose*, if one was given."""
    return lambda response: purpose is None or response.purpose == purpose


def of_verification(verification_id: str) -> Callable[[Approved | Sent | VerificationStatus], bool]:
    """Return a check that a response is about this verification."""
    requested = _NOT_IN_IDS.sub("", unicodedata.normalize("NFKC", verification_id))
    return lambda response: response.verification_id == requested


def of_proof(proof: str, purpose: str) -> Callable[[Redeemed], bool]:
    """Return a check that a response has the claims of the redeemed *proof* and the *purpose*.

    The signature is not checked here; the service does that. If the proof cannot be parsed, no response
    matches.
    """
    claims = _claims(proof)

    def matches(response: Redeemed) -> bool:
        received = (response.verification_id, response.purpose, response.phone, response.client)
        return received == claims and response.purpose == purpose

    return matches


def _claims(proof: str) -> tuple[Any, ...] | None:
    payload = "".join(proof.split()).partition(".")[0]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return (claims["jti"], claims["purpose"], claims["sub"], claims["aud"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
