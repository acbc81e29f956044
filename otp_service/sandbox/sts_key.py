"""Temporary credentials, as Aliyun's STS hands them out; touches nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class StsKey:
    """What belongs to a temporary access key id."""

    secret: str = field(repr=False)
    #: Has to come along with every call.
    security_token: str = field(repr=False)
    #: None: never.
    expires_at: datetime | None = None

    def expired(self, now: datetime) -> bool:
        """Whether it is too late to use it."""
        return self.expires_at is not None and now >= self.expires_at
