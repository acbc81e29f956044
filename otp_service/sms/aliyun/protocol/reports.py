"""Parses Aliyun's delivery reports and inbound SMS, pushed or queued.

https://help.aliyun.com/document_detail/101867.html: a push is an array of items, a message of a queue is one
item. Aliyun adds and drops fields, so only fields without which an item is meaningless are required.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from otp_service.sms.aliyun.protocol.receipts import (
    RECEIPTS,
    Delivery,
    lookup_receipt,
    plain_code,
    plain_text,
)
from otp_service.sms.aliyun.protocol.timestamps import parse_china

_NUMBER = re.compile(r"\+?[0-9]{5,20}")

MAX_CONTENT = 4096
"""Characters of an inbound SMS; the longest SMS has a tenth of that."""

MAX_TEXT = 256
"""Characters of every other field; Aliyun's own limit of an out id."""

MAX_DIGITS = 100

_TRUTHS = {"true": True, "1": True, "false": False, "0": False}

_FIELDS = (
    *("phone_number", "send_time", "report_time", "success", "err_code", "err_msg", "sms_size", "biz_id"),
    *("out_id", "content", "dest_code", "sequence_id", "sign_name"),
)
"""The fields of reports and inbound SMS that Aliyun documents."""


class BadReports(ValueError):
    """A body or an item that is neither a report nor an inbound SMS."""


@dataclass(frozen=True, slots=True)
class SmsReport:
    """The delivery of one SMS; *out_id* is the id that the sender chose, and *code* is the reason."""

    out_id: str
    delivery: Delivery
    code: str


@dataclass(frozen=True, slots=True)
class SmsUp:
    """An inbound SMS; *number* is in Aliyun's format, *sent_at* is None if it is unknown."""

    number: str = field(repr=False)
    content: str = field(repr=False)
    sender: str
    sequence_id: str
    sent_at: datetime | None
    sign_name: str


def read_body(body: bytes) -> list[object]:
    """Return the items of a push or of a queue's message; a single item need not be in an array.

    Raises:
        BadReports: *body* is neither an array nor an object.
    """
    try:
        entries = json.loads(body, parse_int=_read_int)
    except (ValueError, RecursionError):
        raise BadReports("not JSON") from None
    if isinstance(entries, dict):
        return [entries]
    if not isinstance(entries, list):
        raise BadReports("neither array nor object")
    return entries


def read_item(item: object) -> SmsReport | SmsUp:
    """Parse one item. Numbers may be texts, and numeric texts may be numbers.

    Raises:
        BadReports: *item* is neither a report nor an inbound SMS.
    """
    if not isinstance(item, Mapping):
        raise BadReports("not an object")
    if "success" in item or "err_code" in item:
        return _report(item)
    if "content" in item:
        return _reply(item)
    raise BadReports("neither report nor reply")


def describe_item(item: object) -> list[str]:
    """Return the shape of an item for the log: its known fields and the types of their values, no values."""
    if not isinstance(item, Mapping):
        return [type(item).__name__]
    return [f"{name}:{type(item[name]).__name__}" for name in _FIELDS if name in item]


def _report(item: Mapping[str, object]) -> SmsReport:
    code = plain_code(item.get("err_code"))
    success = _success(item.get("success"), code)
    # Some "failures" only mean that the carrier has not reported yet.
    delivery = Delivery.DELIVERED if success else lookup_receipt(code).delivery
    if not success and delivery is Delivery.DELIVERED:
        delivery = Delivery.UNDELIVERED
    return SmsReport(_out_id(item.get("out_id")), delivery, code)


def _success(value: object, code: str) -> bool:
    """Return `success`; if it is missing, a known *code* decides."""
    if value is None and code in RECEIPTS:
        return RECEIPTS[code].delivery is Delivery.DELIVERED
    text = str(value).lower() if isinstance(value, bool) else (plain_text(value) or "").lower()
    if text not in _TRUTHS:
        raise BadReports("success is not a boolean")
    return _TRUTHS[text]


def _out_id(value: object) -> str:
    """Return the out id; empty if missing. An out id of another type may be ours, so it is an error."""
    text = "" if value is None else plain_text(value)
    if text is None:
        raise BadReports("out_id is not text")
    return text if len(text) <= MAX_TEXT else ""


def _reply(item: Mapping[str, object]) -> SmsUp:
    number, content = _text(item, "phone_number"), _content(item["content"])
    if not _NUMBER.fullmatch(number) or content is None or len(content) > MAX_CONTENT:
        raise BadReports("no number or no text")
    return SmsUp(
        number=number,
        content=content,
        sender=_text(item, "dest_code"),
        sequence_id=_text(item, "sequence_id"),
        sent_at=_time(item.get("send_time")),
        sign_name=_text(item, "sign_name"),
    )


def _content(value: object) -> str | None:
    """Return the content unchanged, with its spaces. Content of digits only may be a JSON number."""
    return value if isinstance(value, str) else plain_text(value)


def _text(item: Mapping[str, object], name: str) -> str:
    """Return a short text; empty if it is missing or too long."""
    text = plain_text(item.get(name))
    return text if text is not None and len(text) <= MAX_TEXT else ""


def _read_int(digits: str) -> int | str:
    """Parse a JSON number. One with too many digits is left as a text."""
    return int(digits) if len(digits) <= MAX_DIGITS else digits


def _time(value: object) -> datetime | None:
    """Return the time; None if it cannot be parsed or is before 1970, as placeholders are."""
    try:
        moment = parse_china(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment and moment.timestamp() > 0 else None
