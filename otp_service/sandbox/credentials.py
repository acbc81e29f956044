"""The account's keys, permanent and temporary, and what is wrong with a call's security token."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from otp_service.sandbox.answers import Refused
from otp_service.sandbox.sts_key import StsKey


@dataclass(frozen=True)
class Credentials:
    """Access key ids and what belongs to them."""

    access_keys: Mapping[str, str] = field(repr=False)
    sts_keys: Mapping[str, StsKey] = field(repr=False, default_factory=dict)

    def secret_of(self, access_key_id: str) -> str | None:
        """Find the secret of a key; None if there is no such key."""
        sts_key = self.sts_keys.get(access_key_id)
        return sts_key.secret if sts_key else self.access_keys.get(access_key_id)

    def check_token(self, access_key_id: str, security_token: str, now: datetime) -> None:
        """Check that the call of a key that exists brings the security token that it needs.

        Raises:
            Refused: It brings none, another key's, an expired one, or one that it may not have.
        """
        sts_key = self.sts_keys.get(access_key_id)
        if sts_key and not security_token:
            raise Refused("MissingSecurityToken")
        if security_token and not (sts_key and same(sts_key.security_token, security_token)):
            raise Refused(f"InvalidSecurityToken.{self._flaw(security_token)}")
        if sts_key and sts_key.expired(now):
            raise Refused("InvalidSecurityToken.Expired")

    def _flaw(self, security_token: str) -> str:
        known = any(same(key.security_token, security_token) for key in self.sts_keys.values())
        return "MismatchWithAccessKey" if known else "Malformed"


def same(one: str, other: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())
