"""The page `docs/aliyun-errors.md`, written from the table of codes; touches nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from otp_service.sms.aliyun.protocol.business_codes import BUSINESS_CODES
from otp_service.sms.aliyun.protocol.codes import PNVS_CODES, CodeRow, Outcome, Retry, Who
from otp_service.sms.aliyun.protocol.gateway_codes import GATEWAY_CODES, GATEWAY_FAMILIES
from otp_service.sms.aliyun.protocol.receipts import RECEIPTS, Delivery, ReceiptRow

REGENERATE = (
    'python -c "from otp_service.sms.aliyun.protocol.document import document; '
    "print(document(), end='')\" > docs/aliyun-errors.md"
)
"""The command that writes the page anew."""

ACCEPTED_ANSWER, UNKNOWN_ANSWER = "201", "202"
PROBLEMS: Mapping[Who, str] = {
    Who.NUMBER: "422 `destination_rejected`",
    Who.LIMIT: "429 `provider_rate_limited`",
    Who.OPERATOR: "502 `provider_misconfigured`",
    Who.CALLER: "502 `provider_misconfigured`",
    Who.PROVIDER: "503 `provider_unavailable`",
}
"""What a caller of this service gets for a refusal, by whose fault it is."""

_WHO: Mapping[Who, str] = {
    Who.NOBODY: "nobody",
    Who.NUMBER: "the end user: another number",
    Who.LIMIT: "nobody: time helps",
    Who.OPERATOR: "the operator",
    Who.CALLER: "the developers: a defect of this service or its settings",
    Who.PROVIDER: "Aliyun or the carrier",
}
_RETRY: Mapping[Retry, str] = {
    Retry.NO: "no",
    Retry.LATER: "when the window has passed",
    Retry.BACKOFF: "yes, with backoff",
    Retry.AFTER_RECEIPT: "only after a report or a query says that it was not sent",
}
_DELIVERY: Mapping[Delivery, str] = {
    Delivery.DELIVERED: "delivered",
    Delivery.UNDELIVERED: "undelivered",
    Delivery.WAITING: "not known yet",
}

_HEAD = f"""\
# Aliyun's codes

What Aliyun says, what became of the SMS, who has to act, and what a caller of this service gets.
This page is written from the table in `otp_service/sms/aliyun/protocol/`, which service and sandbox read.
Do not edit it; after a change of the table run this:

```sh
{REGENERATE}
```

- **Outcome** is `accepted`, `refused` (nothing was sent, for certain) or `unknown` (it may have been sent).
- **Who must act** before the same call can succeed.
- **Send again?** says whether another SMS may be asked for; the service itself never repeats a call.
- **Aliyun's HTTP** is the status that Aliyun answers with.
- **Caller gets** is the answer of this service when no other route can send: an HTTP status, \
and the code of the problem document ([api.md](api.md)).

A caller never sees Aliyun's `Message`, because it repeats parts of the request.
The log has Aliyun's code and its request id.

Whatever is no clear answer counts as `unknown`: no JSON, no `Code`, a redirect, any HTTP 5xx, \
a time-out, a lost connection.
A code that stands nowhere on this page is `refused` if it begins with `isv.` \
(Aliyun's word for its customer) or comes on HTTP 4xx, and `unknown` otherwise.
"""

_FRONT_DOOR = """\
They come from the gateway in front of every API of Aliyun, before the SMS service has seen the call.
"""

_FAMILIES = """\
A code of the gateway without a row of its own is explained by the first of these that it begins with.
"""

_PNVS = """\
The verification service PNVS (Dypnsapi, `SendSmsVerifyCode`) writes the codes of the SMS service \
without their prefix.
These are known; the product is part of the row, because SendSms never answers with them.
A caller gets that of a route that sends through PNVS.
A code of PNVS that stands nowhere on this page is `unknown` on HTTP 4xx too: its business answers so as well.
"""

_RECEIPTS = """\
They come after an SMS was accepted: as `err_code` in reports, as `ErrCode` in `QuerySendDetails`.
None of them is an answer to a call, so no caller gets a problem for one.
Carriers send codes of their own beside these; such a code means `undelivered`, \
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


def document() -> str:
    """Return the whole page."""
    sections = (
        _HEAD,
        "## The SMS service\n",
        _codes(BUSINESS_CODES),
        "## The gateway\n",
        _FRONT_DOOR,
        _codes(GATEWAY_CODES),
        "## Families of the gateway\n",
        _FAMILIES,
        _codes(GATEWAY_FAMILIES, ending="…"),
        "## PNVS\n",
        _PNVS,
        _codes(PNVS_CODES.values(), products=True),
        "## Receipts\n",
        _RECEIPTS,
        _receipts(RECEIPTS.values()),
    )
    return "\n".join(sections)


def answer_to_caller(row: CodeRow) -> str:
    """Return what a caller of this service gets when no other route can send."""
    if row.outcome is Outcome.ACCEPTED:
        return ACCEPTED_ANSWER
    return UNKNOWN_ANSWER if row.outcome is Outcome.UNKNOWN else PROBLEMS[row.who]


def _codes(rows: Collection[CodeRow], *, ending: str = "", products: bool = False) -> str:
    lines = [_code_cells(row, ending) for row in rows]
    if not products:
        return _table(_CODE_COLUMNS, lines)
    named = [(line[0], row.product.value, *line[1:]) for line, row in zip(lines, rows, strict=True)]
    return _table((_CODE_COLUMNS[0], "product", *_CODE_COLUMNS[1:]), named)


def _code_cells(row: CodeRow, ending: str) -> tuple[str, ...]:
    return (
        f"`{row.code}{ending}`",
        row.outcome.value,
        _WHO[row.who],
        _RETRY[row.retry],
        str(row.http_status),
        answer_to_caller(row),
        row.english,
        row.chinese,
    )


def _receipts(rows: Iterable[ReceiptRow]) -> str:
    lines = [
        (f"`{row.code}`", _DELIVERY[row.delivery], _WHO[row.who], row.english, row.chinese) for row in rows
    ]
    return _table(_RECEIPT_COLUMNS, lines)


def _table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---"] * len(columns)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (columns, rule, *lines))
