"""An answer's head, read as lines: the standard library makes an e-mail of it. Touches nothing.

That costs as much as all the rest of reading an answer. This is stricter, too: a head that can be read in
two ways is none, since the next answer would begin where this one is thought to end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import IO

MAX_FIELDS = 100
MAX_LINE = 8192

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH = re.compile(r"[0-9]{1,18}")
_BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class MalformedHead(HTTPException):
    """It is no head of HTTP/1.0 or 1.1, or says two things about the body."""


class Response(HTTPResponse):
    """The standard library's response; *fields* are its headers, their names in lower case."""

    fields: Mapping[str, str]

    def begin(self) -> None:
        """Read the head.

        Raises:
            HTTPException: there is none, or it is malformed.
        """
        while True:
            version, self.status, self.reason = self._read_status()  # type: ignore[attr-defined]
            if version not in ("HTTP/1.0", "HTTP/1.1"):
                raise MalformedHead
            self.fields = _fields(self.fp)
            if self.status >= HTTPStatus.OK:
                break  # what came before was on the way only
        self.version = 10 if version == "HTTP/1.0" else 11
        self.chunked = self._is_chunked()
        self.chunk_left = None
        self.length = self._length()
        self.will_close = self._ends_connection()

    def _is_chunked(self) -> bool:
        encoding = self.fields.get("transfer-encoding", "chunked").lower()
        if encoding != "chunked":
            raise MalformedHead
        return "transfer-encoding" in self.fields

    def _length(self) -> int | None:
        if self.status in _BODILESS:
            return 0
        told = self.fields.get("content-length")
        if told is None or self.chunked:
            return None
        if not _LENGTH.fullmatch(told):
            raise MalformedHead
        return int(told)

    def _ends_connection(self) -> bool:
        is_bounded = self.chunked or self.length is not None
        wish = self.fields.get("connection", "").lower()
        keeps = "keep-alive" in wish if self.version == 10 else "close" not in wish  # noqa: PLR2004 - HTTP/1.0
        return not (is_bounded and keeps)


def _fields(head: IO[bytes]) -> dict[str, str]:
    """Return the fields up to the empty line; those of one name stand together, as HTTP has it."""
    fields: dict[str, str] = {}
    for _ in range(MAX_FIELDS + 1):
        line = head.readline(MAX_LINE + 1)
        if len(line) > MAX_LINE or not line.endswith(b"\n"):
            raise MalformedHead
        if line in (b"\r\n", b"\n"):
            return fields
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not _NAME.fullmatch(name):
            raise MalformedHead
        name, value = name.lower(), value.strip()
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    raise MalformedHead
