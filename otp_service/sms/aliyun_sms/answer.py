"""Aliyun's answer, read: what became of the SMS. Touches nothing.

Only an answer that says so beyond doubt is a refusal, because after a refusal the money is given back and
another route may send. What nobody can be sure of is UNKNOWN. Aliyun's `Message` is read for the window of a
flow control and goes no further: it repeats parts of the request.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime

from otp_service.aliyun.codes import CODES, CodeRow, Retry, Who, lookup
from otp_service.aliyun.codes import Outcome as Meaning
from otp_service.aliyun.flow import FLOW_CONTROL_CODE, next_send_at
from otp_service.ports import Fault, Outcome, OutcomeKind
from otp_service.sms.aliyun_api.fields import plain_id, read_fields
from otp_service.sms.provider import Trouble, Verdict

_MILLISECONDS = re.compile(r"[0-9]{1,6}")

_OF_THE_NUMBER = frozenset({"isv.SMS_TEST_NUMBER_LIMIT", "isv.DOMESTIC_NUMBER_NOT_SUPPORTED"})
"""The operator's errors that come up with some numbers only: a stranger's number must not pause the rest."""

_FAULTS = {Who.NUMBER: Fault.NUMBER, Who.LIMIT: Fault.LIMIT, Who.PROVIDER: Fault.PROVIDER}


def read_answer(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> Verdict:
    """Tell what the answer to a SendSms means; the names of *headers* are in lower case."""
    fields = read_fields(headers, body)
    code, request_id = fields.code, fields.request_id
    row = lookup(code)
    if _accepts(status, row):
        # An OK without BizId counts: both readings keep the slot and the money and send no second SMS, but
        # UNKNOWN would hold a provider for broken that only left out what we merely log.
        biz_id = plain_id(fields.all.get("BizId"))
        outcome = Outcome(OutcomeKind.ACCEPTED, provider_code=code, request_id=request_id, biz_id=biz_id)
        return Verdict(outcome)
    if not code or not _refuses(status, row):
        seen = code or f"local.http_{status}"
        outcome = Outcome(OutcomeKind.UNKNOWN, provider_code=seen, request_id=request_id)
        return Verdict(outcome, Trouble.TRANSPORT)
    outcome = Outcome(
        OutcomeKind.REFUSED,
        fault=_FAULTS.get(row.who, Fault.ROUTE),
        wait=_wait(row, fields.all.get("Message"), headers, now),
        provider_code=code,
        request_id=request_id,
    )
    return Verdict(outcome, Trouble.OPERATOR if _lasts(row) else None)


def _accepts(status: int, row: CodeRow) -> bool:
    return 200 <= status < 300 and row.outcome is Meaning.ACCEPTED  # noqa: PLR2004 - HTTP's own classes


def _refuses(status: int, row: CodeRow) -> bool:
    """Tell whether nothing was sent, for certain.

    Whatever a 3xx or 5xx says, it may not be the SMS service that says it. A code that nobody knows refuses
    only on a 4xx, which the gateway sends without asking further.
    """
    is_answer = 200 <= status < 300 or 400 <= status < 500  # noqa: PLR2004 - HTTP's own classes
    is_known = not _is_unexplained(row) or status >= 400  # noqa: PLR2004
    return is_answer and is_known and row.outcome is Meaning.REFUSED


def _is_unexplained(row: CodeRow) -> bool:
    """Tell whether no row of the table and no family explains a code.

    The only refusals known to be the provider's own doing are its throttlings. `isv.` codes explain
    themselves: "isv" is the customer, so the business refused before it sent.
    """
    return row.who is Who.PROVIDER and row.retry is not Retry.BACKOFF


def _lasts(row: CodeRow) -> bool:
    """Tell whether the same template will be refused for every number until an operator acts."""
    is_known = row.code in CODES or not row.code.startswith("isv.")
    return row.who is Who.OPERATOR and is_known and row.code not in _OF_THE_NUMBER


def _wait(row: CodeRow, message: object, headers: Mapping[str, str], now: datetime) -> int:
    """Return the seconds to wait: until the flow control's window ends, or as a throttling says."""
    if row.code == FLOW_CONTROL_CODE:
        text = message if isinstance(message, str) else ""
        return max(1, math.ceil((next_send_at(text, now) - now).total_seconds()))
    if row.retry is Retry.BACKOFF:
        return _retry_after(headers)
    return 0


def _retry_after(headers: Mapping[str, str]) -> int:
    """Return the seconds that a throttling names, 0 for none."""
    told = headers.get("x-acs-retry-after", "")
    return math.ceil(int(told) / 1000) if _MILLISECONDS.fullmatch(told) else 0
