"""The account's access keys, permanent and temporary, and the check of a request's security token."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from otp_service.sandbox.api.responses import ApiError


@dataclass(frozen=True)
class StsKey:
    """A temporary credential as issued by Alibaba Cloud's STS, without its access key id."""

    secret: str = field(repr=False)
    #: Must accompany every request.
    security_token: str = field(repr=False)
    #: None means that it never expires.
    expires_at: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """Return whether the key can no longer be used."""
        return self.expires_at is not None and now >= self.expires_at


@dataclass(frozen=True)
class Credentials:
    """The account's access keys by id."""

    access_keys: Mapping[str, str] = field(repr=False)
    sts_keys: Mapping[str, StsKey] = field(repr=False, default_factory=dict)

    def secret_of(self, access_key_id: str) -> str | None:
        """Return the secret of a key, or None if there is no such key."""
        sts_key = self.sts_keys.get(access_key_id)
        return sts_key.secret if sts_key else self.access_keys.get(access_key_id)

    def check_token(self, access_key_id: str, security_token: str, now: datetime) -> None:
        """Check the security token of a request that was made with an existing key.

        Raises:
            ApiError: The token is missing, unknown, expired or of another key, or the key has no token.
        """
        sts_key = self.sts_keys.get(access_key_id)
        if sts_key and not security_token:
            raise ApiError("MissingSecurityToken")
        if security_token and not (sts_key and secrets_equal(sts_key.security_token, security_token)):
            raise ApiError(f"InvalidSecurityToken.{self._token_problem(security_token)}")
        if sts_key and sts_key.is_expired(now):
            raise ApiError("InvalidSecurityToken.Expired")

    def _token_problem(self, security_token: str) -> str:
        known = any(secrets_equal(key.security_token, security_token) for key in self.sts_keys.values())
        return "MismatchWithAccessKey" if known else "Malformed"


def secrets_equal(one: str, other: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())
