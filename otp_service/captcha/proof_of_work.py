"""Proof of work as a risk challenge, with the protocol of altcha.

A browser must find the number behind a hash. That costs a person a moment, and an attacker computing time for
every SMS. It works offline, calls no third party and reveals nothing. Nothing is stored: the signed challenge
contains all state. This is version 1 of the protocol, with SHA-256 only; old and new widgets and solvers
support it.
https://altcha.org/docs/server-integration/
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import parse_qs

from altcha import v1 as altcha

from otp_service.domain.crypto import Keyring, hmac_fields
from otp_service.domain.risk import ChallengeSubject
from otp_service.services.interfaces import Clock

ALGORITHM: Literal["SHA-256"] = "SHA-256"

COSTS = {1: 50_000, 2: 250_000}
"""The largest number of each level. A solver tries half of the numbers on average, and all of them at worst.

Altcha measured 40,000 hashes a second on a cheap phone (Galaxy A14) and 120,000 on an iPhone 12 mini;
Chromium does 50,000 on one core of a server. At 80,000 the levels take 0.3 s and 1.6 s on average, on the
cheap phone 0.6 s and 3.1 s. https://altcha.org/docs/complexity/
"""

MAX_PAYLOAD = 4096
"""Characters. A solution has about 400."""

CLOCK_SLACK = 60
"""Seconds by which the clocks of two machines may differ."""

_MAC_BYTES = 12


@dataclass(frozen=True, slots=True)
class _Solution:
    salt: str
    number: int
    challenge: str
    signature: str


class ProofOfWork:
    """Implements `interfaces.ChallengeProvider`; a challenge is valid for *ttl* seconds."""

    def __init__(self, keyring: Keyring, clock: Clock, *, ttl: int) -> None:
        self._keyring = keyring
        self._clock = clock
        self._ttl = ttl
        self.ttl = ttl + CLOCK_SLACK
        """See `interfaces.ChallengeProvider.ttl`; a challenge that would be valid for longer is rejected."""

    def issue(self, subject: ChallengeSubject, level: int) -> Mapping[str, object]:
        """See `interfaces.ChallengeProvider.issue`."""
        key = self._keyring.active.risk
        made = altcha.create_challenge(
            altcha.ChallengeOptions(
                algorithm=ALGORITHM,
                max_number=COSTS[level],
                hmac_key=key,
                expires=datetime.fromtimestamp(int(self._clock.now()) + self._ttl, UTC),
                params={"level": str(level), "for": _bound(key, subject)},
            )
        )
        return {
            "algorithm": made.algorithm,
            "challenge": made.challenge,
            "maxnumber": made.max_number,
            "salt": made.salt,
            "signature": made.signature,
        }

    def verify(self, solution: str, subject: ChallengeSubject, level: int) -> str | None:
        """See `interfaces.ChallengeProvider.verify`."""
        read = _read(solution)
        if read is None:
            return None
        for key in self._keys():
            if _is_signed(read, key):
                return read.challenge if self._fits(read.salt, key, subject, level) else None
        return None

    def _keys(self) -> Iterator[bytes]:
        return (sub_keys.risk for sub_keys in self._keyring.by_kid.values())

    def _fits(self, salt: str, key: bytes, subject: ChallengeSubject, level: int) -> bool:
        """Return whether a challenge that we issued is for *subject*, hard enough and not expired.

        A challenge that was issued with a longer `ttl` is rejected: it could be used again after the store
        has forgotten its id.
        """
        params = parse_qs(salt.partition("?")[2])
        try:
            (expires,), (reached,), (bound,) = params["expires"], params["level"], params["for"]
            in_time = 0 < int(expires) - self._clock.now() <= self.ttl
            is_enough = int(reached) >= level
        except (KeyError, ValueError):
            return False
        return in_time and is_enough and hmac.compare_digest(bound, _bound(key, subject))


def _is_signed(read: _Solution, key: bytes) -> bool:
    """Return whether the number solves a challenge that was signed with *key*."""
    challenge = altcha.hash_hex(ALGORITHM, (read.salt + str(read.number)).encode())
    signature = altcha.hmac_hex(ALGORITHM, challenge.encode(), key)
    is_right = hmac.compare_digest(challenge, read.challenge)
    return hmac.compare_digest(signature, read.signature) and is_right


def _bound(key: bytes, subject: ChallengeSubject) -> str:
    """Return a MAC of *subject*, which reveals nothing about it."""
    fields = (b"risk", subject.client.encode(), subject.phone_hash.encode())
    return hmac_fields(key, fields)[:_MAC_BYTES].hex()


def _read(text: str) -> _Solution | None:
    """Parse untrusted text; None unless it is a valid altcha payload."""
    if len(text) > MAX_PAYLOAD:
        return None
    try:
        payload = json.loads(base64.b64decode(text, validate=True))
    except (ValueError, RecursionError):
        return None
    if not isinstance(payload, dict) or payload.get("algorithm") != ALGORITHM:
        return None
    number = payload.get("number")
    texts = [payload.get(name) for name in ("salt", "challenge", "signature")]
    if type(number) is not int or not all(isinstance(t, str) and t.isascii() for t in texts):
        return None
    salt, challenge, signature = map(str, texts)
    # Without its delimiter, the end of the salt could be moved into the number.
    return _Solution(salt, number, challenge, signature) if salt.endswith("&") else None
