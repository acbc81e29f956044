"""What Aliyun tells on its own: reports of SMS and replies to them, pushed or queued; touches nothing.

https://help.aliyun.com/document_detail/101867.html. A push is an array of items, a message of a
queue one item. Fields come and go: only those without which an item says nothing are asked for.
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
"""Characters of a reply; the longest SMS has a tenth."""

MAX_TEXT = 256
"""Characters of every other field; Aliyun's own bound of an out id."""

MAX_DIGITS = 100

_TRUTHS = {"true": True, "1": True, "false": False, "0": False}

_FIELDS = (
    *("phone_number", "send_time", "report_time", "success", "err_code", "err_msg", "sms_size", "biz_id"),
    *("out_id", "content", "dest_code", "sequence_id", "sign_name"),
)
"""The fields of reports and replies that Aliyun documents."""


class BadReports(ValueError):
    """A body or an item that is neither report nor reply."""


@dataclass(frozen=True, slots=True)
class SmsReport:
    """What became of one SMS; *out_id* is the sender's own, and *code* says why."""

    out_id: str
    delivery: Delivery
    code: str


@dataclass(frozen=True, slots=True)
class SmsUp:
    """An SMS from a phone to us; *number* in Aliyun's spelling, *sent_at* None where it can't be read."""

    number: str = field(repr=False)
    content: str = field(repr=False)
    sender: str
    sequence_id: str
    sent_at: datetime | None
    sign_name: str


def read_body(body: bytes) -> list[object]:
    """Return the items of a push or of a queue's message; a single item may stand without its array.

    Raises:
        BadReports: it is neither an array nor an object.
    """
    try:
        told = json.loads(body, parse_int=_read_int)
    except (ValueError, RecursionError):
        raise BadReports("not JSON") from None
    if isinstance(told, dict):
        return [told]
    if not isinstance(told, list):
        raise BadReports("neither array nor object")
    return told


def read_item(item: object) -> SmsReport | SmsUp:
    """Return what one item says. Numbers may stand as texts, and texts that are numbers as such.

    Raises:
        BadReports: it is neither a report nor a reply.
    """
    if not isinstance(item, Mapping):
        raise BadReports("no object")
    if "success" in item or "err_code" in item:
        return _report(item)
    if "content" in item:
        return _reply(item)
    raise BadReports("neither report nor reply")


def describe_item(item: object) -> list[str]:
    """Return the form of an item, for a log: its known fields with the types of their values, no value."""
    if not isinstance(item, Mapping):
        return [type(item).__name__]
    return [f"{name}:{type(item[name]).__name__}" for name in _FIELDS if name in item]


def _report(item: Mapping[str, object]) -> SmsReport:
    code = plain_code(item.get("err_code"))
    success = _success(item.get("success"), code)
    # Some "failures" only mean that the carrier has said nothing yet.
    delivery = Delivery.DELIVERED if success else lookup_receipt(code).delivery
    if not success and delivery is Delivery.DELIVERED:
        delivery = Delivery.UNDELIVERED
    return SmsReport(_out_id(item.get("out_id")), delivery, code)


def _success(value: object, code: str) -> bool:
    """Read `success`; where it is missing, a *code* that is known tells it."""
    if value is None and code in RECEIPTS:
        return RECEIPTS[code].delivery is Delivery.DELIVERED
    text = str(value).lower() if isinstance(value, bool) else (plain_text(value) or "").lower()
    if text not in _TRUTHS:
        raise BadReports("success is no boolean")
    return _TRUTHS[text]


def _out_id(value: object) -> str:
    """Return the out id, empty where there is none. One of another type may be ours and is not ignored."""
    text = "" if value is None else plain_text(value)
    if text is None:
        raise BadReports("out_id is no text")
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
    """Return what a person wrote, spaces and all; a reply of digits alone may come as a number."""
    return value if isinstance(value, str) else plain_text(value)


def _text(item: Mapping[str, object], name: str) -> str:
    """Return a short text, empty where it is missing or too long."""
    text = plain_text(item.get(name))
    return text if text is not None and len(text) <= MAX_TEXT else ""


def _read_int(digits: str) -> int | str:
    """Read a number of JSON; one with so many digits is no number that anybody counts with."""
    return int(digits) if len(digits) <= MAX_DIGITS else digits


def _time(value: object) -> datetime | None:
    try:
        return parse_china(value) if isinstance(value, str) else None
    except ValueError:
        return None
