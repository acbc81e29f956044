"""Bodies: the bytes of a request become one flat JSON object, or are refused. Touches the request's stream.

JSON has dark corners, and each of them ends here: duplicate names (the last one would win), `NaN`, a byte
order mark, broken UTF-8, bottomless nesting. No error repeats what was sent.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import IO, Any, NoReturn
from wsgiref.types import WSGIEnvironment

from werkzeug.sansio.utils import get_content_length

from otp_service.domain.errors import FieldError, InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from otp_service.web.api.pointers import pointer

MAX_BYTES = 8 * 1024
"""The longest sensible body, a proof and a purpose, has well below one KiB."""


def read(environ: WSGIEnvironment) -> dict[str, object]:
    """Return the object that the body of a request holds.

    Raises:
        UnsupportedMediaType: the body is not declared as JSON.
        PayloadTooLarge: it has more than `MAX_BYTES`.
        InvalidRequest: it is not one JSON object.
    """
    media_type = environ.get("CONTENT_TYPE", "").partition(";")[0]
    if media_type.strip().lower() != "application/json":
        raise UnsupportedMediaType
    return parse(read_bytes(environ, MAX_BYTES))


def parse(raw: bytes) -> dict[str, object]:
    """Return the object that *raw* spells.

    Raises:
        InvalidRequest: it is not one JSON object, or names a field twice.
    """
    try:
        value = _DECODER.decode(raw.decode())
    except UnicodeDecodeError:
        _refuse("is not UTF-8")
    except json.JSONDecodeError as error:
        _refuse(f"is not JSON (line {error.lineno}, column {error.colno})" if raw else "is empty")
    except ValueError:
        _refuse("has a number that is none, or a far too long one")
    except RecursionError:
        _refuse("is nested too deeply")
    if isinstance(value, _Twice):
        _refuse("is given twice", pointer(value.name))
    if not isinstance(value, dict):
        _refuse("must be an object")
    return value


def read_bytes(environ: WSGIEnvironment, limit: int) -> bytes:
    """Read the body straight from the server; what wraps the stream for us costs more than parsing.

    A chunked body tells no length: of it one byte beyond the limit is read, and no more.

    Raises:
        UnsupportedMediaType: it is compressed.
        PayloadTooLarge: it has more than *limit* bytes.
        InvalidRequest: it ended too early.
    """
    if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType
    length = get_content_length(environ.get("CONTENT_LENGTH"), environ.get("HTTP_TRANSFER_ENCODING"))
    if length is None and "wsgi.input_terminated" not in environ:
        return b""
    if length is not None and length > limit:
        raise PayloadTooLarge
    raw = _read(environ["wsgi.input"], limit + 1 if length is None else length)
    if len(raw) > limit:
        raise PayloadTooLarge
    if length is not None and len(raw) < length:
        _refuse("ended too early")
    return raw


def _read(stream: IO[bytes], most: int) -> bytes:
    raw = b""
    try:
        while len(raw) < most and (chunk := stream.read(most - len(raw))):
            raw += chunk
    except OSError:
        _refuse("ended too early")
    return raw


class _Twice:
    """Stands for an object that names a field twice. Inside a field it is no text, and refused as such."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.name = Counter(name for name, _ in pairs).most_common(1)[0][0]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Twice:
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else _Twice(pairs)


def _no_constant(_: str) -> NoReturn:
    raise ValueError


def _refuse(detail: str, where: str = "") -> NoReturn:
    raise InvalidRequest([FieldError(pointer=where, detail=detail)]) from None


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)
"""Made once: `json.loads` with these arguments would make one per call."""
