"""`GET /otp/widget.js`: the module that defines `<otp-verify>`.

The module is the same for everyone, so browsers may cache it for a while. Two services differ only in the
countries that they send SMS to. The module contains them, so that a page needs no request to learn them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from flask import Request, Response

from otp_service.domain.phone import Dialing
from otp_service.web.api.responses import StaticFile, respond_file

MEDIA_TYPE = "text/javascript; charset=utf-8"
CACHE = "public, max-age=300"
"""Five minutes, so that a fixed widget spreads quickly. After that a browser asks whether it has changed."""

_FILE = Path(__file__).with_name("widget.js")
_SENDS_TO = re.compile(r'(?m)^const SENDS_TO = ".*";$')
_COMMENT = re.compile(r"(?ms)^[ ]*(?://[^\n]*|/\*\*.*?\*/)\n|[ ]+//[ ][^\n]*")
_PUBLIC_HEADERS = (
    # Pages of other origins must be able to load the module. It contains nothing secret.
    ("Access-Control-Allow-Origin", "*"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
)


def get(dialing: tuple[Dialing, ...], request: Request) -> Response:
    """Return the module for a service that sends to the countries in *dialing*; the first is preselected."""
    return respond_file(request, _file(dialing), media_type=MEDIA_TYPE, cache=CACHE, headers=_PUBLIC_HEADERS)


def source(dialing: Sequence[Dialing]) -> str:
    """Return the module without its comments, which only readers of the file need."""
    sends_to = " ".join(map(encode_country, dialing))
    text, found = _SENDS_TO.subn(f'const SENDS_TO = "{sends_to}";', _FILE.read_text("utf-8"))
    if found != 1:
        raise AssertionError("widget.js must define SENDS_TO exactly once")
    return _COMMENT.sub("", text)


def encode_country(dialing: Dialing) -> str:
    """Return one country in the format of SENDS_TO; the lengths only if the groups do not imply them."""
    mark = "?" if dialing.repeats_code else ""
    trunk = "|".join(dialing.trunk)
    text = f"{dialing.country}{dialing.code}{mark}-{trunk}:{''.join(map(str, dialing.groups))}"
    is_implied = dialing.lengths == (sum(dialing.groups),)
    return text if is_implied else f"{text}/{','.join(map(str, dialing.lengths))}"


@cache
def _file(dialing: tuple[Dialing, ...]) -> StaticFile:
    return StaticFile.of(source(dialing).encode())
