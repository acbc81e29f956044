"""Spellings of codes and phone numbers: one table for the widget, the API, the hosted page and the clients.

`codes`: the typed text and the code that it means; `None` if it is not a code of any type.
`phones`: the typed text, the selected `country`, and the number in E.164; `None` if it is not a phone number.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict, cast


class CodeSpelling(TypedDict):
    """One row of `codes`."""

    name: str
    typed: str
    code: str | None


class PhoneSpelling(TypedDict):
    """One row of `phones`."""

    name: str
    typed: str
    country: str
    e164: str | None


_TABLE = json.loads((Path(__file__).parents[1] / "data" / "spellings.json").read_text("utf-8"))

CODES = cast(list[CodeSpelling], _TABLE["codes"])
PHONES = cast(list[PhoneSpelling], _TABLE["phones"])
COUNTRIES = sorted({row["country"] for row in PHONES})
