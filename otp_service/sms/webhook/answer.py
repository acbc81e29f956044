"""The answer of a receiver, read: what became of the SMS. `docs/webhook.md` has the table.

Only a 4xx refuses, because after a refusal the money is given back and another route may send. Whatever else
is no success may come from something in between, and nobody knows what the receiver did.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from otp_service.domain.messages import FailureCause, SendResult, SendStatus
from otp_service.sms.provider import ProviderResult, RouteHealth

REJECTED = "destination_rejected"
"""The `code` in the body of a 422 by which a receiver says that this number gets no SMS anywhere."""

MAX_WAIT = 3600
"""Seconds; a receiver that wants to be left alone for longer is asked again after that."""

_UNPROCESSABLE, _TOO_MANY = 422, 429
_SECONDS = re.compile(r"[0-9]{1,9}")


def read_answer(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ProviderResult:
    """Tell what a receiver's answer means; the names of *headers* are in lower case."""
    seen = f"http_{status}"
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's own classes
        return ProviderResult(SendResult(SendStatus.ACCEPTED, provider_code=seen))
    if not 400 <= status < 500:  # noqa: PLR2004 - HTTP's own classes
        return ProviderResult(SendResult(SendStatus.UNKNOWN, provider_code=seen), RouteHealth.TRANSPORT)
    if status == _UNPROCESSABLE and _code(body) == REJECTED:
        return ProviderResult(_refused(FailureCause.RECIPIENT, REJECTED))
    if status == _TOO_MANY:
        return ProviderResult(
            _refused(FailureCause.PROVIDER, seen, retry_after(headers.get("retry-after", ""), now))
        )
    return ProviderResult(_refused(FailureCause.ACCOUNT, seen), RouteHealth.TEMPLATE)


def retry_after(text: str, now: datetime) -> int:
    """Return the seconds that `Retry-After` names, as a number or a date, at most `MAX_WAIT`; 0 for none."""
    if _SECONDS.fullmatch(text):
        return min(int(text), MAX_WAIT)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0
    left = math.ceil((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())
    return max(0, min(left, MAX_WAIT))


def _refused(fault: FailureCause, code: str, wait: int = 0) -> SendResult:
    return SendResult(SendStatus.REFUSED, cause=fault, retry_after=wait, provider_code=code)


def _code(body: bytes) -> object:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return told.get("code") if isinstance(told, dict) else None
