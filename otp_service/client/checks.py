"""Checks: whether an answer is the answer to the call that was made.

Where a connection has got out of step, an answer is perfectly readable and belongs to somebody else.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from otp_service.client.answers import Approved, Redeemed, Sent, VerificationStatus

_NO_PART_OF_AN_ID = re.compile(r"[^A-Za-z0-9_-]")
"""What the service passes over in an id that somebody has pasted."""


def always(_: object) -> bool:
    """Tell that nothing in the answer can be compared with the call."""
    return True


def for_purpose(purpose: str | None) -> Callable[[Sent], bool]:
    """Return the check of an answer that opens a verification, for *purpose* if that was said."""
    return lambda answer: purpose is None or answer.purpose == purpose


def of_verification(verification_id: str) -> Callable[[Approved | Sent | VerificationStatus], bool]:
    """Return the check of an answer about one verification."""
    asked = _NO_PART_OF_AN_ID.sub("", unicodedata.normalize("NFKC", verification_id))
    return lambda answer: answer.verification_id == asked


def of_proof(proof: str, purpose: str) -> Callable[[Redeemed], bool]:
    """Return the check of what a redeemed *proof* proves against what it says itself.

    Its signature is the service's affair. A text that says nothing readable proves nothing, whatever the
    answer is.
    """
    claims = _claims(proof)

    def fits(answer: Redeemed) -> bool:
        told = (answer.verification_id, answer.purpose, answer.phone, answer.client)
        return told == claims and answer.purpose == purpose

    return fits


def _claims(proof: str) -> tuple[Any, ...] | None:
    payload = "".join(proof.split()).partition(".")[0]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return (claims["jti"], claims["purpose"], claims["sub"], claims["aud"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
