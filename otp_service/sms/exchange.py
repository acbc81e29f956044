"""One request and its answer as bytes: what is written, and what is made of what comes back. Touches nothing.

The objects that requests and urllib3 make of both cost several times what the call itself does, and nothing
of what they are for is wanted here: no retry, no redirect, no cookie, no stream.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import IncompleteRead

from otp_service.sms.response import Response

_ALWAYS = {
    # An answer is too short to be worth compressing; one that is compressed all the same can be read.
    "Accept-Encoding": "identity",
    "User-Agent": "otp-service",
}

_NOT_IN_A_TARGET = re.compile(r"[\x00-\x20\x7f]")
_NOT_IN_A_HEADER = re.compile(r"[\x00\r\n]")

_COMPRESSED = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class BodyTooLarge(Exception):
    """More came back than any answer can be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; the names of *headers* are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def written(method: str, host: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a request. Unless *headers* name a host it is *host*.

    Only a POST says that its body is empty.

    Raises:
        ValueError: it would not be one request, or none.
    """
    said = {"Content-Length": str(len(body))} if body or method == "POST" else {}
    named = {"Host": host} if not headers.keys() & {"Host", "host"} else {}
    fields = [f"{name}: {value}" for name, value in {**named, **said, **_ALWAYS, **headers}.items()]
    if _NOT_IN_A_TARGET.search(target) or any(map(_NOT_IN_A_HEADER.search, fields)):
        raise ValueError
    return "\r\n".join((f"{method} {target} HTTP/1.1", *fields, "", "")).encode("latin-1") + body


def read(response: Response, most: int) -> Answer:
    """Return all of *response*, whose body has no more than *most* bytes, neither packed nor unpacked.

    Raises:
        BodyTooLarge: it has.
        IncompleteRead: it ended too early.
        zlib.error: it is not compressed as it says.
    """
    body = response.read(most + 1)
    if len(body) > most:
        raise BodyTooLarge
    if response.length:
        raise IncompleteRead(body, response.length)
    if response.fields.get("content-encoding", "").lower() in _COMPRESSED:
        body = _unpacked(body, most)
    return Answer(response.status, response.fields, body)


def _unpacked(body: bytes, most: int) -> bytes:
    unpacking = zlib.decompressobj(_GZIP_OR_ZLIB)
    unpacked = unpacking.decompress(body, most + 1)
    if len(unpacked) > most:
        raise BodyTooLarge
    if not unpacking.eof:
        raise IncompleteRead(unpacked)
    return unpacked
