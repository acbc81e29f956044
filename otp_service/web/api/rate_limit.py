"""The response headers `RateLimit` and `RateLimit-Policy`: which limit applies, and how much of it is left.

Only servers get them. To a stranger, what is left of a phone's limits would reveal when its owner last logged
in.
https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from otp_service.domain.errors import LimitError, OtpError
from otp_service.domain.limits import RateLimitPolicy
from otp_service.web.api.schemas import ResponseModel, VerificationResponse

POLICY = "RateLimit-Policy"
REMAINING = "RateLimit"

Headers = tuple[tuple[str, str], ...]
Policies = Callable[[], Mapping[str, RateLimitPolicy]]

SENDS = "verification_sends"


def headers(outcome: OtpError | ResponseModel, policies: Policies) -> Headers:
    """Return the headers for the limit that was reached, or for the SMS that a verification has left."""
    if isinstance(outcome, LimitError):
        return _headers(outcome.limit, policies(), 0, outcome.retry_after)
    if isinstance(outcome, VerificationResponse):
        return _headers(SENDS, policies(), outcome.sends_left, outcome.resend_in)
    return ()


def _headers(name: str, policies: Mapping[str, RateLimitPolicy], left: int, wait: int | None) -> Headers:
    policy = policies.get(name)
    if policy is None:
        return ()
    window = f";w={policy.seconds}" if policy.seconds else ""
    reset = "" if wait is None else f";t={wait}"
    return (POLICY, f'"{name}";q={policy.limit}{window}'), (REMAINING, f'"{name}";r={left}{reset}')
