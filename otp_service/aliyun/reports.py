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

from otp_service.aliyun.china_time import parse_china
from otp_service.aliyun.receipts import Delivery, lookup_receipt, plain_code

_NUMBER = re.compile(r"\+?[0-9]{5,20}")

MAX_CONTENT = 4096
"""Characters of a reply; the longest SMS has a tenth."""


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
    """Return the items of a push or of a queue's message.

    Raises:
        BadReports: it is neither an array nor an object.
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise BadReports("not JSON") from None
    if isinstance(told, dict):
        return [told]
    if not isinstance(told, list):
        raise BadReports("neither array nor object")
    return told


def read_item(item: object) -> SmsReport | SmsUp:
    """Return what one item says.

    Raises:
        BadReports: it is neither a report nor a reply.
    """
    if not isinstance(item, Mapping):
        raise BadReports("no object")
    if "success" in item:
        return _report(item)
    if "content" in item:
        return _reply(item)
    raise BadReports("neither report nor reply")


def _report(item: Mapping[str, object]) -> SmsReport:
    success = item["success"]
    if not isinstance(success, bool):
        raise BadReports("success is no boolean")
    code = plain_code(item.get("err_code"))
    # Some "failures" only mean that the carrier has said nothing yet.
    delivery = Delivery.DELIVERED if success else lookup_receipt(code).delivery
    if not success and delivery is Delivery.DELIVERED:
        delivery = Delivery.UNDELIVERED
    return SmsReport(_text(item, "out_id"), delivery, code)


def _reply(item: Mapping[str, object]) -> SmsUp:
    number, content = _text(item, "phone_number"), item["content"]
    if not _NUMBER.fullmatch(number) or not isinstance(content, str) or len(content) > MAX_CONTENT:
        raise BadReports("no number or no text")
    return SmsUp(
        number=number,
        content=content,
        sender=_text(item, "dest_code"),
        sequence_id=_text(item, "sequence_id"),
        sent_at=_time(item.get("send_time")),
        sign_name=_text(item, "sign_name"),
    )


def _text(item: Mapping[str, object], name: str) -> str:
    """Return a short text; numbers stand for themselves, as `sequence_id` was one once."""
    value = item.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and len(value) <= 256 else ""  # noqa: PLR2004 - OutId's own bound


def _time(value: object) -> datetime | None:
    try:
        return parse_china(value) if isinstance(value, str) else None
    except ValueError:
        return None
