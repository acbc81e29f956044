"""Interprets the responses to a send: what happened to the SMS.

Only a response that is unambiguous counts as a refusal, because after a refusal the quota is returned and
another route may send. Everything else is UNKNOWN. Aliyun's `Message` is used only for the window of a flow
control and is not passed on, because it repeats parts of the request.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from otp_service.domain.messages import FailureCause, SendResult, SendStatus
from otp_service.sms.aliyun.api import ResponseFields, plain_id, read_fields
from otp_service.sms.aliyun.protocol import flow_control
from otp_service.sms.aliyun.protocol.codes import (
    CODES,
    ErrorCodeInfo,
    ResponsibleParty,
    Retry,
    SendOutcome,
)
from otp_service.sms.provider import ProviderResult, RouteHealth

_MILLISECONDS = re.compile(r"[0-9]{1,6}")

_DEPENDS_ON_NUMBER = frozenset({"isv.SMS_TEST_NUMBER_LIMIT", "isv.DOMESTIC_NUMBER_NOT_SUPPORTED"})
"""Errors for the operator that affect only some numbers: they must not suspend the route for the others."""

_DEPENDS_ON_TEMPLATE = frozenset(
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
"""Errors that need not affect other templates. Even from abroad, SMS to other countries are allowed."""

_CAUSES = {
    ResponsibleParty.RECIPIENT: FailureCause.RECIPIENT,
    ResponsibleParty.RECIPIENT_LIMIT: FailureCause.RECIPIENT_RATE_LIMIT,
    ResponsibleParty.PROVIDER: FailureCause.PROVIDER,
}


def _top_level_biz_id(fields: Mapping[str, object]) -> object:
    return fields.get("BizId")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseInterpreter:
    """Interprets the responses of one API, with what differs between the APIs as arguments.

    *lookup* explains a code, *biz_id* finds the biz id, *next_send_at* parses the message of a flow control.
    With *business_uses_4xx* not only the gateway responds with HTTP 4xx, so an unknown code proves nothing.
    """

    lookup: Callable[[str], ErrorCodeInfo]
    biz_id: Callable[[Mapping[str, object]], object] = _top_level_biz_id
    next_send_at: Callable[[str, datetime], datetime] = flow_control.next_send_at
    business_uses_4xx: bool = False

    def interpret(
        self, status: int, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ProviderResult:
        """Return the meaning of the response to a send."""
        fields = read_fields(headers, body)
        info = self.lookup(fields.code)
        if not fields.code or _contradicts_itself(fields, info):
            return _unknown(status, fields)
        if _accepts(status, info):
            return self._accepted(fields)
        if not self._refuses(status, info):
            return _unknown(status, fields)
        outcome = SendResult(
            SendStatus.REFUSED,
            cause=_CAUSES.get(info.responsible, FailureCause.ACCOUNT),
            retry_after=self._retry_after(info, fields.all.get("Message"), headers, now),
            provider_code=fields.code,
            request_id=fields.request_id,
        )
        return ProviderResult(outcome, _health(info))

    def _accepted(self, fields: ResponseFields) -> ProviderResult:
        # An OK without BizId is a success: either way the quota stays used and no second SMS is sent, but
        # UNKNOWN would open the circuit of a provider that only omitted a value for the log.
        biz_id = plain_id(self.biz_id(fields.all))
        outcome = SendResult(
            SendStatus.ACCEPTED, provider_code=fields.code, request_id=fields.request_id, biz_id=biz_id
        )
        return ProviderResult(outcome)

    def _refuses(self, status: int, info: ErrorCodeInfo) -> bool:
        """Return whether certainly nothing was sent.

        A 3xx or 5xx may not come from the SMS service, whatever its body says. An unknown code is a refusal
        only with a 4xx from the gateway, which has then not passed the call on to any service.
        """
        is_from_service = 200 <= status < 300 or 400 <= status < 500  # noqa: PLR2004 - HTTP's own classes
        is_known = not _is_unexplained(info) or (status >= 400 and not self.business_uses_4xx)  # noqa: PLR2004
        return is_from_service and is_known and info.outcome is SendOutcome.REFUSED

    def _retry_after(
        self, info: ErrorCodeInfo, message: object, headers: Mapping[str, str], now: datetime
    ) -> int:
        """Return the seconds until the flow control's window ends, or those that throttling asks for."""
        if info.responsible is ResponsibleParty.RECIPIENT_LIMIT:
            text = message if isinstance(message, str) else ""
            return max(1, math.ceil((self.next_send_at(text, now) - now).total_seconds()))
        if info.retry is Retry.BACKOFF:
            return _throttling_seconds(headers)
        return 0


def _accepts(status: int, info: ErrorCodeInfo) -> bool:
    return 200 <= status < 300 and info.outcome is SendOutcome.ACCEPTED  # noqa: PLR2004 - HTTP's own classes


def _contradicts_itself(fields: ResponseFields, info: ErrorCodeInfo) -> bool:
    """Return whether `Success`, if present, contradicts the code."""
    success = fields.all.get("Success")
    return success is not None and success is not (info.outcome is SendOutcome.ACCEPTED)


def _unknown(status: int, fields: ResponseFields) -> ProviderResult:
    code = fields.code or f"local.http_{status}"
    outcome = SendResult(SendStatus.UNKNOWN, provider_code=code, request_id=fields.request_id)
    return ProviderResult(outcome, RouteHealth.TRANSPORT_ERROR)


def _is_unexplained(info: ErrorCodeInfo) -> bool:
    """Return whether neither a row of the table nor a family explains the code.

    The only refusals known to be the provider's own fault are its throttling codes. An `isv.` code explains
    itself: "isv" is the customer, so the SMS service refused before it sent.
    """
    return info.responsible is ResponsibleParty.PROVIDER and info.retry is not Retry.BACKOFF


def _health(info: ErrorCodeInfo) -> RouteHealth | None:
    """Return what fails for every number until an operator acts: the route, one template, or nothing."""
    is_known = info.code in CODES or not info.code.startswith("isv.")
    if info.responsible is not ResponsibleParty.OPERATOR or not is_known or info.code in _DEPENDS_ON_NUMBER:
        return None
    return RouteHealth.TEMPLATE_ERROR if info.code in _DEPENDS_ON_TEMPLATE else RouteHealth.ACCOUNT_ERROR


def _throttling_seconds(headers: Mapping[str, str]) -> int:
    """Return the seconds that a throttling response names; 0 if it names none."""
    text = headers.get("x-acs-retry-after", "")
    return math.ceil(int(text) / 1000) if _MILLISECONDS.fullmatch(text) else 0
