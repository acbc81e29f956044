"""Limits and budgets: which of them one request touches, as values. Touches nothing.

The store counts; this file only says what is counted and how much of it is allowed.
The numbers and the arithmetic behind them: docs/how-it-works.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

HOUR = 3_600
DAY = 86_400

MAX_STREAK = 100
"""NIST SP 800-63B-4 §3.1.3.2: no more than 100 consecutive failed attempts on one account."""


@dataclass(frozen=True, slots=True)
class PhoneLimits:
    """What one phone may receive and how often its codes may be guessed wrong. Times in seconds.

    The send limits are at most Aliyun's own (1 per minute, 5 per hour, 10 per day), so that its flow
    control is never woken.
    """

    cooldown: tuple[int, ...] = (60, 60, 120, 300)
    sends_per_hour: int = 5
    sends_per_day: int = 10
    sends_per_requester_per_hour: int = 4
    failures_per_hour: int = 10
    failures_per_day: int = 20
    slow_lane_at: int = 50
    lock_at: int = MAX_STREAK


@dataclass(frozen=True, slots=True)
class CodeLimits:
    """One verification: *ttl* in seconds, wrong codes it takes, SMS it may cause."""

    ttl: int = 300
    attempts: int = 5
    sends: int = 4


MAX_LIFE = 600
"""Seconds from issue after which no resend prolongs a verification (NIST SP 800-63B-4: ten minutes)."""

MIN_RESEND_LIFE = 120
"""Seconds a resent code must still live to be worth an SMS."""


@dataclass(frozen=True, slots=True)
class Budget:
    """At most *limit* SMS in a calendar day (UTC+8); *scope* names the counter, *name* the limit."""

    scope: str
    name: str
    limit: int
    known_share: float
    """The part of it that only known phones may use, so that an attacker cannot shut out everybody."""

    def open_to(self, *, known: bool) -> int:
        """Return how many SMS of the day this phone's kind may use."""
        return self.limit if known else self.limit - int(self.limit * self.known_share)


@lru_cache(maxsize=1024)
def budgets(
    client: str, client_sms_per_day: int, service_sms_per_day: int, known_share: float
) -> tuple[Budget, ...]:
    """Return the budgets that one SMS of *client* is taken from."""
    return (
        Budget(f"client:{client}", "client_sms_per_day", client_sms_per_day, known_share),
        Budget("service", "service_sms_per_day", service_sms_per_day, known_share),
    )
