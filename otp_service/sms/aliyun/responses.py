"""How one API of Aliyun's words its answers to a send, and what became of the SMS.

Only an answer that says so beyond doubt is a refusal, because after a refusal the money is given back and
another route may send. What nobody can be sure of is UNKNOWN. Aliyun's `Message` is read for the window of a
flow control and goes no further: it repeats parts of the request.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from otp_service.domain.messages import FailureCause, SendResult, SendStatus
from otp_service.sms.aliyun.fields import Fields, plain_id, read_fields
from otp_service.sms.aliyun.protocol import flow_control
from otp_service.sms.aliyun.protocol.codes import CODES, ErrorCodeInfo, ResponsibleParty, Retry
from otp_service.sms.aliyun.protocol.codes import SendOutcome as Meaning
from otp_service.sms.provider import ProviderResult, RouteHealth

_MILLISECONDS = re.compile(r"[0-9]{1,6}")

_OF_THE_NUMBER = frozenset({"isv.SMS_TEST_NUMBER_LIMIT", "isv.DOMESTIC_NUMBER_NOT_SUPPORTED"})
"""The operator's errors that come up with some numbers only: a stranger's number must not pause the rest."""

_OF_THE_TEMPLATE = frozenset(
    {
        "isv.SMS_TEMPLATE_ILLEGAL",
        "isv.SMS_SIGNATURE_SCENE_ILLEGAL",
        "isv.SMS_TEST_SIGN_TEMPLATE_LIMIT",
        "isv.SMS_CONTENT_ILLEGAL",
        "isv.UNSUPPORTED_CONTENT",
        "isv.SMS_CONTENT_MISMATCH_TEMPLATE_TYPE",
        "isv.DENY_IP_RANGE",
    }
)
"""Those that say nothing against the other templates: from abroad one may send to other countries."""

_FAULTS = {
    ResponsibleParty.RECIPIENT: FailureCause.RECIPIENT,
    ResponsibleParty.RECIPIENT_LIMIT: FailureCause.RECIPIENT_RATE_LIMIT,
    ResponsibleParty.PROVIDER: FailureCause.PROVIDER,
}


def _of_the_answer(told: Mapping[str, object]) -> object:
    return told.get("BizId")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseInterpreter:
    """What differs between the APIs that send.

    *lookup* explains a code, *biz_id* finds the biz id, *next_send_at* reads the message of a flow control.
    *business_says_4xx*: not only the front door answers so, hence a code that nobody knows proves nothing.
    """

    lookup: Callable[[str], ErrorCodeInfo]
    biz_id: Callable[[Mapping[str, object]], object] = _of_the_answer
    next_send_at: Callable[[str, datetime], datetime] = flow_control.next_send_at
    business_says_4xx: bool = False

    def read(self, status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ProviderResult:
        """Tell what the answer to a send means; the names of *headers* are in lower case."""
        fields = read_fields(headers, body)
        row = self.lookup(fields.code)
        if not fields.code or _contradicts_itself(fields, row):
            return _unknown(status, fields)
        if _accepts(status, row):
            return self._accepted(fields)
        if not self._refuses(status, row):
            return _unknown(status, fields)
        outcome = SendResult(
            SendStatus.REFUSED,
            cause=_FAULTS.get(row.responsible, FailureCause.ACCOUNT),
            retry_after=self._wait(row, fields.all.get("Message"), headers, now),
            provider_code=fields.code,
            request_id=fields.request_id,
        )
        return ProviderResult(outcome, _trouble(row))

    def _accepted(self, fields: Fields) -> ProviderResult:
        # An OK without BizId counts: both readings keep the slot and the money and send no second SMS, but
        # UNKNOWN would hold a provider for broken that only left out what we merely log.
        biz_id = plain_id(self.biz_id(fields.all))
        outcome = SendResult(
            SendStatus.ACCEPTED, provider_code=fields.code, request_id=fields.request_id, biz_id=biz_id
        )
        return ProviderResult(outcome)

    def _refuses(self, status: int, row: ErrorCodeInfo) -> bool:
        """Tell whether nothing was sent, for certain.

        Whatever a 3xx or 5xx says, it may not be the SMS service that says it. A code that nobody knows
        refuses only on a 4xx that the front door sends, which asks nobody further.
        """
        is_answer = 200 <= status < 300 or 400 <= status < 500  # noqa: PLR2004 - HTTP's own classes
        is_known = not _is_unexplained(row) or (status >= 400 and not self.business_says_4xx)  # noqa: PLR2004
        return is_answer and is_known and row.outcome is Meaning.REFUSED

    def _wait(self, row: ErrorCodeInfo, message: object, headers: Mapping[str, str], now: datetime) -> int:
        """Return the seconds to wait: until the flow control's window ends, or as a throttling says."""
        if row.responsible is ResponsibleParty.RECIPIENT_LIMIT:
            text = message if isinstance(message, str) else ""
            return max(1, math.ceil((self.next_send_at(text, now) - now).total_seconds()))
        if row.retry is Retry.BACKOFF:
            return _retry_after(headers)
        return 0


def _accepts(status: int, row: ErrorCodeInfo) -> bool:
    return 200 <= status < 300 and row.outcome is Meaning.ACCEPTED  # noqa: PLR2004 - HTTP's own classes


def _contradicts_itself(fields: Fields, row: ErrorCodeInfo) -> bool:
    """Tell whether `Success`, where an answer has it, says something else than its code."""
    success = fields.all.get("Success")
    return success is not None and success is not (row.outcome is Meaning.ACCEPTED)


def _unknown(status: int, fields: Fields) -> ProviderResult:
    seen = fields.code or f"local.http_{status}"
    outcome = SendResult(SendStatus.UNKNOWN, provider_code=seen, request_id=fields.request_id)
    return ProviderResult(outcome, RouteHealth.TRANSPORT)


def _is_unexplained(row: ErrorCodeInfo) -> bool:
    """Tell whether no row of the table and no family explains a code.

    The only refusals known to be the provider's own doing are its throttlings. `isv.` codes explain
    themselves: "isv" is the customer, so the business refused before it sent.
    """
    return row.responsible is ResponsibleParty.PROVIDER and row.retry is not Retry.BACKOFF


def _trouble(row: ErrorCodeInfo) -> RouteHealth | None:
    """Tell what is refused for every number until an operator acts: the route, a template, or nothing."""
    is_known = row.code in CODES or not row.code.startswith("isv.")
    if row.responsible is not ResponsibleParty.OPERATOR or not is_known or row.code in _OF_THE_NUMBER:
        return None
    return RouteHealth.TEMPLATE if row.code in _OF_THE_TEMPLATE else RouteHealth.OPERATOR


def _retry_after(headers: Mapping[str, str]) -> int:
    """Return the seconds that a throttling names, 0 for none."""
    told = headers.get("x-acs-retry-after", "")
    return math.ceil(int(told) / 1000) if _MILLISECONDS.fullmatch(told) else 0
