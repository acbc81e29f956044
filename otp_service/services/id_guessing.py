"""Limits how many verifications that do not exist one IP address may ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import TracebackType

from otp_service.domain.errors import LimitReached, VerificationNotFound
from otp_service.domain.risk import ClientIpQuota
from otp_service.services.context import RequestContext
from otp_service.services.interfaces import UsageCounters

MISSES_LIMIT = "address_misses_per_10_minutes"

_VERIFICATION_ID = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True, slots=True)
class MissCounter:
    """A context manager around the lookup of a verification. It counts a miss if the id is unknown.

    An address that has used up its misses finds only the verifications that were requested from it. *wait* is
    the number of seconds until this ends, or 0 if it has misses left. Meanwhile an unknown id gets the same
    response as an existing id of someone else and is not counted; a difference would reveal which ids exist.
    """

    counters: UsageCounters
    quota: ClientIpQuota | None
    wait: int

    @property
    def opener_only(self) -> bool:
        """Whether only verifications that were requested from this address may be found."""
        return self.wait > 0

    def check_form(self, verification_id: str) -> None:
        """Reject and count an id that this service cannot have issued.

        Raises:
            VerificationNotFound, LimitReached: the id has the wrong format.
        """
        if not _VERIFICATION_ID.fullmatch(verification_id):
            with self:
                raise VerificationNotFound

    def __enter__(self) -> None:
        """Begin a lookup."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Count a verification that was not found.

        Raises:
            LimitReached: instead of VerificationNotFound, once the address has used up its misses.
        """
        if not isinstance(error, VerificationNotFound):
            return
        if self.wait:
            raise LimitReached(self.wait, MISSES_LIMIT) from None
        if self.quota:
            self.counters.record_miss(self.quota)


def miss_counter(
    counters: UsageCounters, context: RequestContext, quota: ClientIpQuota | None
) -> MissCounter:
    """Return the miss counter of a call. Only calls from a browser can use up their misses."""
    wait = counters.seconds_until_misses_allowed(quota) if quota and context.is_public else 0
    return MissCounter(counters, quota, wait)
