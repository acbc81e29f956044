"""The fields that every answer of Aliyun's has, read with distrust."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_ID = re.compile(r"[A-Za-z0-9^._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Fields:
    """An answer's *code* and *request_id*, empty unless they have their form, and *all* that it says.

    What else it says was made of the request in part: nothing of it goes into a log.
    """

    code: str
    request_id: str
    all: Mapping[str, object] = field(repr=False)


def read_fields(headers: Mapping[str, str], body: bytes) -> Fields:
    """Read an answer, whatever it is; the names of *headers* are in lower case."""
    told = _json(body)
    request_id = plain_id(told.get("RequestId")) or plain_id(headers.get("x-acs-request-id"))
    return Fields(_text(_CODE, told.get("Code")), request_id, told)


def plain_id(value: object) -> str:
    """Return *value* if it has the form of an id; a stranger's text goes into no log."""
    return _text(_ID, value)


def _json(body: bytes) -> dict[str, object]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _text(form: re.Pattern[str], value: object) -> str:
    return value if isinstance(value, str) and form.fullmatch(value) else ""
