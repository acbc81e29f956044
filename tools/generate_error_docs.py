"""Generates `docs/aliyun-errors.md` from the table of Aliyun's codes."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence

from otp_service.sms.aliyun.protocol.business_codes import BUSINESS_CODES
from otp_service.sms.aliyun.protocol.codes import (
    PNVS_CODES,
    ErrorCodeInfo,
    ResponsibleParty,
    Retry,
    SendOutcome,
)
from otp_service.sms.aliyun.protocol.gateway_codes import GATEWAY_CODES, GATEWAY_FAMILIES
from otp_service.sms.aliyun.protocol.receipts import RECEIPTS, Delivery, ReceiptCodeInfo

COMMAND = "python tools/generate_error_docs.py > docs/aliyun-errors.md"
"""The command that regenerates the page."""

RESPONSE_IF_ACCEPTED, RESPONSE_IF_UNKNOWN = "201", "202"
PROBLEMS: Mapping[ResponsibleParty, str] = {
    ResponsibleParty.RECIPIENT: "422 `destination_rejected`",
    ResponsibleParty.RECIPIENT_LIMIT: "429 `provider_rate_limited`",
    ResponsibleParty.OPERATOR: "502 `provider_misconfigured`",
    ResponsibleParty.DEVELOPER: "502 `provider_misconfigured`",
    ResponsibleParty.PROVIDER: "503 `provider_unavailable`",
}
"""The response of this service to a refusal, by the responsible party."""

_WHO_MUST_ACT: Mapping[ResponsibleParty, str] = {
    ResponsibleParty.NONE: "no one",
    ResponsibleParty.RECIPIENT: "the end user: use another number",
    ResponsibleParty.RECIPIENT_LIMIT: "no one: wait",
    ResponsibleParty.OPERATOR: "the operator",
    ResponsibleParty.DEVELOPER: "the developers: this service or its settings have a defect",
    ResponsibleParty.PROVIDER: "Aliyun or the carrier",
}
_SEND_AGAIN: Mapping[Retry, str] = {
    Retry.NO: "no",
    Retry.LATER: "after the window has ended",
    Retry.BACKOFF: "yes, with backoff",
    Retry.AFTER_RECEIPT: "only after a report or a query shows that it was not sent",
}
_DELIVERY: Mapping[Delivery, str] = {
    Delivery.DELIVERED: "delivered",
    Delivery.UNDELIVERED: "undelivered",
    Delivery.WAITING: "not known yet",
}

_INTRODUCTION = f"""\
# Aliyun's codes

This page lists Aliyun's codes: the outcome, who must act, and what the caller of this service gets.
It is generated from the table in `otp_service/sms/aliyun/protocol/`, which the service and the sandbox use.
Do not edit it. After a change to the table, run:

```sh
{COMMAND}
```

- **Outcome** is `accepted`, `refused` (certainly nothing was sent) or `unknown` (the SMS may have been sent).
- **Who must act** names the party that must act before the same call can succeed.
- **Send again?** says whether another SMS may be requested. The service itself never repeats a call.
- **Aliyun's HTTP** is the status of Aliyun's response.
- **Caller gets** is the response of this service when no other route can send: an HTTP status, \
and the code of the problem document ([api.md](api.md)).

Callers never see Aliyun's `Message`, because it repeats parts of the request.
The log contains Aliyun's code and its request id.

Every response that is not clear counts as `unknown`: no JSON, no `Code`, a redirect, any HTTP 5xx, \
a timeout, a lost connection.
A code that is not on this page counts as `refused` if it begins with `isv.` \
(Aliyun's word for its customer) or comes with HTTP 4xx, and as `unknown` otherwise.
"""

_GATEWAY = """\
These codes come from the gateway in front of all of Aliyun's APIs, before the SMS service has seen the call.
"""

_FAMILIES = """\
A gateway code without a row of its own is explained by the first of these prefixes that it begins with.
"""

_PNVS = """\
The verification service PNVS (Dypnsapi, `SendSmsVerifyCode`) uses the codes of the SMS service \
without their prefix.
The following are known. The product is part of the row, because SendSms never responds with these codes.
A caller gets the listed response for a route that sends through PNVS.
A PNVS code that is not on this page counts as `unknown` with HTTP 4xx, too: \
PNVS uses those statuses for its own errors.
"""

_RECEIPTS = """\
These codes arrive after an SMS was accepted: as `err_code` in reports, as `ErrCode` in `QuerySendDetails`.
None of them is the response to a call, so callers get no problem document for them.
Carriers also send codes of their own. Such a code means `undelivered`, \
for a reason that only the carrier knows.
"""

_CODE_COLUMNS = (
    "code",
    "outcome",
    "who must act",
    "send again?",
    "Aliyun's HTTP",
    "caller gets",
    "meaning",
    "含义",
)
_RECEIPT_COLUMNS = ("code", "delivery", "who must act", "meaning", "含义")


def generate_page() -> str:
    """Return the whole page."""
    sections = (
        _INTRODUCTION,
        "## The SMS service\n",
        _code_table(BUSINESS_CODES),
        "## The gateway\n",
        _GATEWAY,
        _code_table(GATEWAY_CODES),
        "## Families of gateway codes\n",
        _FAMILIES,
        _code_table(GATEWAY_FAMILIES, suffix="…"),
        "## PNVS\n",
        _PNVS,
        _code_table(PNVS_CODES.values(), with_product=True),
        "## Receipts\n",
        _RECEIPTS,
        _receipt_table(RECEIPTS.values()),
    )
    return "\n".join(sections)


def response_to_caller(row: ErrorCodeInfo) -> str:
    """Return the response of this service when no other route can send."""
    if row.outcome is SendOutcome.ACCEPTED:
        return RESPONSE_IF_ACCEPTED
    return RESPONSE_IF_UNKNOWN if row.outcome is SendOutcome.UNKNOWN else PROBLEMS[row.responsible]


def _code_table(rows: Collection[ErrorCodeInfo], *, suffix: str = "", with_product: bool = False) -> str:
    lines = [_code_cells(row, suffix) for row in rows]
    if not with_product:
        return _table(_CODE_COLUMNS, lines)
    wider = [(line[0], row.product.value, *line[1:]) for line, row in zip(lines, rows, strict=True)]
    return _table((_CODE_COLUMNS[0], "product", *_CODE_COLUMNS[1:]), wider)


def _code_cells(row: ErrorCodeInfo, suffix: str) -> tuple[str, ...]:
    return (
        f"`{row.code}{suffix}`",
        row.outcome.value,
        _WHO_MUST_ACT[row.responsible],
        _SEND_AGAIN[row.retry],
        str(row.http_status),
        response_to_caller(row),
        row.english,
        row.chinese,
    )


def _receipt_table(rows: Iterable[ReceiptCodeInfo]) -> str:
    lines = [
        (f"`{row.code}`", _DELIVERY[row.delivery], _WHO_MUST_ACT[row.responsible], row.english, row.chinese)
        for row in rows
    ]
    return _table(_RECEIPT_COLUMNS, lines)


def _table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---"] * len(columns)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (columns, rule, *lines))


if __name__ == "__main__":
    sys.stdout.write(generate_page())
