"""Limits and budgets as values.

They say what is counted and how much is allowed; the store does the counting.
docs/architecture.md explains the numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

HOUR = 3_600
DAY = 86_400

MAX_CONSECUTIVE_FAILURES = 100
"""NIST SP 800-63B-4 §3.1.3.2: no more than 100 consecutive failed attempts on one account."""


@dataclass(frozen=True, slots=True)
class PhoneLimits:
    """SMS and wrong codes per phone. Times in seconds.

    The send limits are at most Aliyun's own (1 per minute, 5 per hour, 10 per day), so that its flow control
    never applies. Untrusted calls may use *untrusted_send_ratio* of the SMS and *untrusted_failure_ratio* of
    the failures; the rest is reserved for trusted calls, so that a stranger cannot lock out a phone's owner.
    """

    cooldown: tuple[int, ...] = (60, 60, 120, 300)
    sends_per_hour: int = 5
    sends_per_day: int = 10
    sends_per_requester_per_hour: int = 4
    failures_per_hour: int = 10
    failures_per_day: int = 20
    restrict_after_failures: int = 50
    lock_after_failures: int = MAX_CONSECUTIVE_FAILURES
    untrusted_send_ratio: float = 0.8
    untrusted_failure_ratio: float = 0.7

    def untrusted_sends(self, limit: int) -> int:
        """Return how many sends of *limit* untrusted calls may use; the rest is for trusted calls."""
        return max(1, math.floor(limit * self.untrusted_send_ratio + _ROUNDING))

    def untrusted_failures(self, limit: int) -> int:
        """Return how many failures of *limit* untrusted calls may use; the rest is for trusted calls."""
        return max(1, math.floor(limit * self.untrusted_failure_ratio + _ROUNDING))


_ROUNDING = 1e-9
"""Makes 0.7 times 10 equal 7 despite floating-point rounding."""

TEST_PHONE_SENDS_PER_HOUR = 60

TEST_PHONE_LIMITS = PhoneLimits(
    cooldown=(0,),
    sends_per_hour=TEST_PHONE_SENDS_PER_HOUR,
    sends_per_day=240,
    sends_per_requester_per_hour=TEST_PHONE_SENDS_PER_HOUR,
    untrusted_send_ratio=1.0,
)
"""Limits of test phones. No SMS is sent, so they are much higher, but they still bound what a test phone can
write to the store. Wrong codes are counted as for every phone."""


@dataclass(frozen=True, slots=True)
class CodeLimits:
    """Limits of one verification: *ttl* in seconds, wrong codes and SMS."""

    ttl: int = 300
    max_attempts: int = 5
    max_sends: int = 4


@dataclass(frozen=True, slots=True)
class IpLimits:
    """Unverified SMS, and the phones they went to, per IP address (IPv4 /32, IPv6 /64).

    From a limit on, a risk challenge is required; from *block_multiplier* times the limit on, requests are
    rejected. Each phone that was verified from the address in a day adds *verified_allowance_ratio* to the
    limits, because whole offices share one address.
    """

    sends_per_hour: int = 20
    sends_per_day: int = 100
    phones_per_day: int = 20
    block_multiplier: int = 10
    verified_allowance_ratio: float = 0.5
    misses_per_10_minutes: int = 60


@dataclass(frozen=True, slots=True)
class ConversionLimits:
    """How many unverified SMS in 24 hours make the pumping guard react.

    The threshold is the larger of *min_unverified* and *max_unverified_ratio* times the verified SMS. Beyond
    *block_multiplier* times the threshold, requests are rejected. While a broad scope is over its threshold,
    only *strict_ratio* times *min_unverified* SMS may be unverified.
    """

    min_unverified: int = 20
    max_unverified_ratio: float = 0.5
    block_multiplier: int = 3
    strict_ratio: float = 1 / 3

    @property
    def strict_min_unverified(self) -> int:
        """Unverified SMS allowed while pumping is detected, in addition to two for each verified SMS."""
        return max(1, int(self.min_unverified * self.strict_ratio))


@dataclass(frozen=True, slots=True)
class GlobalFailureLimits:
    """How many wrong codes in a day require risk challenges. Those of approved verifications do not count.

    The threshold is the larger of *min_failures* and *max_failure_ratio* times the approvals of the day. From
    the *severe* threshold on, the challenges are hard ones.
    """

    min_failures: int = 500
    max_failure_ratio: float = 0.01
    severe_min_failures: int = 2_000
    severe_max_failure_ratio: float = 0.04

    def level(self, wrong: int, approved: int) -> int:
        """Return 0 for no risk challenge, 1 for one, 2 for a hard one."""
        easy, hard = self.thresholds(approved)
        return 2 if wrong >= hard else int(wrong >= easy)

    def thresholds(self, approved: int) -> tuple[int, int]:
        """Return the numbers of wrong codes at which the level becomes 1 and 2."""
        easy = max(self.min_failures, int(approved * self.max_failure_ratio))
        return easy, max(self.severe_min_failures, int(approved * self.severe_max_failure_ratio))


@dataclass(frozen=True, slots=True)
class RateLimitPolicy:
    """At most *limit* uses within *seconds*; 0 seconds means in total."""

    limit: int
    seconds: int


def rate_limit_policies(
    phone: PhoneLimits,
    code: CodeLimits,
    ip: IpLimits,
    client_sms_per_day: int,
    service_sms_per_day: int,
) -> dict[str, RateLimitPolicy]:
    """Return the policy of each limit by its name in API responses."""
    block_multiplier = ip.block_multiplier
    return {
        "phone_cooldown": RateLimitPolicy(1, phone.cooldown[0]),
        "phone_sends_per_hour": RateLimitPolicy(phone.sends_per_hour, HOUR),
        "phone_sends_per_day": RateLimitPolicy(phone.sends_per_day, DAY),
        "phone_requester_sends_per_hour": RateLimitPolicy(phone.sends_per_requester_per_hour, HOUR),
        "phone_failures_per_hour": RateLimitPolicy(phone.failures_per_hour, HOUR),
        "phone_failures_per_day": RateLimitPolicy(phone.failures_per_day, DAY),
        "phone_failures_possible": RateLimitPolicy(phone.lock_after_failures, 0),
        "phone_slow_lane": RateLimitPolicy(1, DAY),
        "phone_locked": RateLimitPolicy(phone.lock_after_failures, 0),
        "verification_sends": RateLimitPolicy(code.max_sends, 0),
        "address_sends_per_hour": RateLimitPolicy(ip.sends_per_hour * block_multiplier, HOUR),
        "address_sends_per_day": RateLimitPolicy(ip.sends_per_day * block_multiplier, DAY),
        "address_phones_per_day": RateLimitPolicy(ip.phones_per_day * block_multiplier, DAY),
        "address_misses_per_10_minutes": RateLimitPolicy(ip.misses_per_10_minutes, 600),
        "client_sms_per_day": RateLimitPolicy(client_sms_per_day, DAY),
        "service_sms_per_day": RateLimitPolicy(service_sms_per_day, DAY),
    }


MAX_VERIFICATION_LIFETIME = 600
"""Seconds after issue from which a resend no longer extends a verification (NIST SP 800-63B-4: 10 min)."""

MIN_LIFETIME_AFTER_RESEND = 120
"""Seconds for which a resent code must still be valid; otherwise it is not worth an SMS."""


@dataclass(frozen=True, slots=True)
class Budget:
    """At most *limit* SMS in a calendar day (UTC+8); *scope* names the counter, *name* the limit."""

    scope: str
    name: str
    limit: int
    reserved_for_known_ratio: float
    """The share reserved for known phones, so that an attacker cannot lock out all users."""

    def available_to(self, *, known: bool) -> int:
        """Return how many SMS of the day known or unknown phones may use."""
        return self.limit if known else self.limit - int(self.limit * self.reserved_for_known_ratio)


@lru_cache(maxsize=1024)
def budgets(
    client: str, client_sms_per_day: int, service_sms_per_day: int, reserved_for_known_ratio: float
) -> tuple[Budget, ...]:
    """Return the budgets that one SMS of *client* is taken from."""
    return (
        Budget(f"client:{client}", "client_sms_per_day", client_sms_per_day, reserved_for_known_ratio),
        Budget("service", "service_sms_per_day", service_sms_per_day, reserved_for_known_ratio),
    )
