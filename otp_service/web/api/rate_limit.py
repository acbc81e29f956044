"""Rate limits as header fields, for servers: how much is left, and of what.

Not for browsers: to a stranger, what is left of a phone's limits tells when its owner last logged in.
https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from otp_service.domain.errors import LimitError, OtpError
from otp_service.domain.limits import RateLimitPolicy
from otp_service.web.api.answers import Answer, VerificationAnswer

POLICY = "RateLimit-Policy"
LEFT = "RateLimit"

Headers = tuple[tuple[str, str], ...]
Allowances = Callable[[], Mapping[str, RateLimitPolicy]]

SENDS = "verification_sends"


def of(outcome: OtpError | Answer, allowances: Allowances) -> Headers:
    """Return which limit has refused, or how many more SMS a verification may cause, and when the next."""
    if isinstance(outcome, LimitError):
        return _fields(outcome.limit, allowances(), 0, outcome.retry_after)
    if isinstance(outcome, VerificationAnswer):
        return _fields(SENDS, allowances(), outcome.sends_left, outcome.resend_in)
    return ()


def _fields(name: str, allowances: Mapping[str, RateLimitPolicy], left: int, wait: int | None) -> Headers:
    allowance = allowances.get(name)
    if allowance is None:
        return ()
    window = f";w={allowance.seconds}" if allowance.seconds else ""
    reset = "" if wait is None else f";t={wait}"
    return (POLICY, f'"{name}";q={allowance.limit}{window}'), (LEFT, f'"{name}";r={left}{reset}')
