"""`GET /otp/widget.js`: the module that defines `<otp-verify>`. Touches its file.

It is the same for everybody and may be kept by browsers for a while. All that differs between two services
is where they send to; that stands in the module, so that a page needs no call to learn it.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from flask import Response, request

from otp_service.domain.phone import Dialing
from otp_service.web.api.responses import respond

MEDIA_TYPE = "text/javascript; charset=utf-8"
CACHE = "public, max-age=300"
"""Five minutes: a mended widget is everywhere soon. Afterwards a browser asks whether it has changed."""

_FILE = Path(__file__).with_name("widget.js")
_SENDS_TO = re.compile(r'(?m)^const SENDS_TO = ".*";$')
_COMMENT = re.compile(r"(?ms)^[ ]*(?://[^\n]*|/\*\*.*?\*/)\n|[ ]+//[ ][^\n]*")
_FOR_EVERYBODY = (
    # A module from another origin must be allowed to be read. There is nothing in it that is secret.
    ("Access-Control-Allow-Origin", "*"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
    ("Vary", "Accept-Encoding"),
)


def widget(dialing: tuple[Dialing, ...]) -> Response:
    """Return the module for a service that sends to these countries; the first one is selected at first."""
    plain, packed, tag = _versions(dialing)
    is_packed = request.accept_encodings.quality("gzip") > 0
    headers = (*_FOR_EVERYBODY, ("Content-Encoding", "gzip")) if is_packed else _FOR_EVERYBODY
    response = respond(
        200, packed if is_packed else plain, media_type=MEDIA_TYPE, cache=CACHE, headers=headers
    )
    response.set_etag(tag, weak=True)
    response.make_conditional(request)
    return response


def source(dialing: Sequence[Dialing]) -> str:
    """Return the module without its comments; those who want to read it have the file."""
    sends_to = " ".join(map(_written, dialing))
    told, found = _SENDS_TO.subn(f'const SENDS_TO = "{sends_to}";', _FILE.read_text("utf-8"))
    if found != 1:
        raise AssertionError("the widget must say once where the service sends to")
    return _COMMENT.sub("", told)


def _written(dialing: Dialing) -> str:
    """Return one country as the module reads it; its lengths only where the groups do not tell them."""
    mark = "?" if dialing.repeats_code else ""
    trunk = "|".join(dialing.trunk)
    text = f"{dialing.country}{dialing.code}{mark}-{trunk}:{''.join(map(str, dialing.groups))}"
    is_told = dialing.lengths == (sum(dialing.groups),)
    return text if is_told else f"{text}/{','.join(map(str, dialing.lengths))}"


@cache
def _versions(dialing: tuple[Dialing, ...]) -> tuple[bytes, bytes, str]:
    plain = source(dialing).encode()
    return plain, gzip.compress(plain, mtime=0), hashlib.sha256(plain).hexdigest()[:16]
