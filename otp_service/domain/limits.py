"""Limits and budgets: which of them one request touches, as values.

The store counts; this file only says what is counted and how much of it is allowed.
The numbers and the arithmetic behind them: docs/architecture.md.
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
    """What one phone may receive and how often its codes may be guessed wrong. Times in seconds.

    The send limits are at most Aliyun's own (1 per minute, 5 per hour, 10 per day), so that its flow
    control is never woken. Untrusted calls may use *untrusted_send_ratio* of the SMS and
    *untrusted_failure_ratio* of the failures; the rest is kept for trusted calls, so that a stranger cannot
    keep a phone's owner out.
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
        """Return how many sends of *limit* untrusted calls may use; the rest is kept for trusted ones."""
        return max(1, math.floor(limit * self.untrusted_send_ratio + _ROUNDING))

    def untrusted_failures(self, limit: int) -> int:
        """Return how many failures of *limit* untrusted calls may use; the rest is kept for trusted ones."""
        return max(1, math.floor(limit * self.untrusted_failure_ratio + _ROUNDING))


_ROUNDING = 1e-9
"""0.7 times 10 is 7, whatever floating point makes of it."""

TEST_PHONE_SENDS_PER_HOUR = 60

TEST_PHONE_LIMITS = PhoneLimits(
    cooldown=(0,),
    sends_per_hour=TEST_PHONE_SENDS_PER_HOUR,
    sends_per_day=240,
    sends_per_requester_per_hour=TEST_PHONE_SENDS_PER_HOUR,
    untrusted_send_ratio=1.0,
)
"""Those of test phones. No SMS goes out, so they are far wider than those of phones; but what a test phone
can write to the store has an end. Wrong codes are counted as for every phone."""


@dataclass(frozen=True, slots=True)
class CodeLimits:
    """One verification: *ttl* in seconds, wrong codes it takes, SMS it may cause."""

    ttl: int = 300
    max_attempts: int = 5
    max_sends: int = 4


@dataclass(frozen=True, slots=True)
class IpLimits:
    """What one address (IPv4 /32, IPv6 /64) may cause: SMS that nobody has verified, and their phones.

    Beyond a limit a risk challenge is asked for, beyond *block_multiplier* times it nothing is sent. Of what
    was verified in a day, *verified_allowance_ratio* is added: whole offices stand behind one address.
    """

    sends_per_hour: int = 20
    sends_per_day: int = 100
    phones_per_day: int = 20
    block_multiplier: int = 10
    verified_allowance_ratio: float = 0.5
    misses_per_10_minutes: int = 60


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """When too few of the SMS of a day are verified.

    That is when more than *min_unverified* are not, and more than *max_unverified_ratio* times those that
    are. At *block_multiplier* times that nothing is sent. *strict_ratio* of *min_unverified* may go
    unverified while pumping is under way.
    """

    min_unverified: int = 20
    max_unverified_ratio: float = 0.5
    block_multiplier: int = 3
    strict_ratio: float = 1 / 3

    @property
    def strict(self) -> int:
        """How many may go unverified, and two more for each that is verified, while pumping is under way."""
        return max(1, int(self.min_unverified * self.strict_ratio))


@dataclass(frozen=True, slots=True)
class GlobalFailureLimits:
    """Wrong codes a day, of verifications that were never approved, from which the whole service is on guard.

    The least number, or the share of all approvals if that is more; a hard risk challenge from *hard* on.
    """

    min_failures: int = 500
    max_failure_ratio: float = 0.01
    severe_min_failures: int = 2_000
    severe_max_failure_ratio: float = 0.04

    def level(self, wrong: int, approved: int) -> int:
        """Return 0, 1 where a risk challenge is asked for, or 2 for a hard one."""
        easy, hard = self.thresholds(approved)
        return 2 if wrong >= hard else int(wrong >= easy)

    def thresholds(self, approved: int) -> tuple[int, int]:
        """Return from how many wrong codes on the level is 1, and from how many it is 2."""
        easy = max(self.min_failures, int(approved * self.max_failure_ratio))
        return easy, max(self.severe_min_failures, int(approved * self.severe_max_failure_ratio))


@dataclass(frozen=True, slots=True)
class RateLimitPolicy:
    """At most *limit* of something in *seconds*; 0 seconds: in all."""

    limit: int
    seconds: int


def rate_limit_policies(
    phone: PhoneLimits,
    code: CodeLimits,
    address: IpLimits,
    client_sms_per_day: int,
    service_sms_per_day: int,
) -> dict[str, RateLimitPolicy]:
    """Return how much each limit allows, by the name under which it refuses."""
    block_multiplier = address.block_multiplier
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
        "address_sends_per_hour": RateLimitPolicy(address.sends_per_hour * block_multiplier, HOUR),
        "address_sends_per_day": RateLimitPolicy(address.sends_per_day * block_multiplier, DAY),
        "address_phones_per_day": RateLimitPolicy(address.phones_per_day * block_multiplier, DAY),
        "address_misses_per_10_minutes": RateLimitPolicy(address.misses_per_10_minutes, 600),
        "client_sms_per_day": RateLimitPolicy(client_sms_per_day, DAY),
        "service_sms_per_day": RateLimitPolicy(service_sms_per_day, DAY),
    }


MAX_VERIFICATION_LIFETIME = 600
"""Seconds from issue after which no resend prolongs a verification (NIST SP 800-63B-4: ten minutes)."""

MIN_LIFETIME_AFTER_RESEND = 120
"""Seconds a resent code must still live to be worth an SMS."""


@dataclass(frozen=True, slots=True)
class Budget:
    """At most *limit* SMS in a calendar day (UTC+8); *scope* names the counter, *name* the limit."""

    scope: str
    name: str
    limit: int
    reserved_for_known_ratio: float
    """The part of it that only known phones may use, so that an attacker cannot shut out everybody."""

    def available_to(self, *, known: bool) -> int:
        """Return how many SMS of the day this phone's kind may use."""
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
