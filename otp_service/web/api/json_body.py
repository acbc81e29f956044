"""Request bodies: reads the bytes of a request and parses them into one flat JSON object.

Ambiguous JSON is rejected: duplicate names (of which the last would win), `NaN`, a byte order mark, invalid
UTF-8 and unlimited nesting. No error repeats any part of the body.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import IO, Any, NoReturn
from wsgiref.types import WSGIEnvironment

from werkzeug.sansio.utils import get_content_length

from otp_service.domain.errors import FieldError, InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from otp_service.web.api.validation_errors import json_pointer

MAX_BYTES = 8 * 1024
"""The longest sensible body, a proof and a purpose, has well under one KiB."""


def read(environ: WSGIEnvironment) -> dict[str, object]:
    """Read and parse the body of a request.

    Raises:
        UnsupportedMediaType: the body is not declared as JSON.
        PayloadTooLarge: it has more than `MAX_BYTES`.
        InvalidRequest: it is not a JSON object.
    """
    media_type = environ.get("CONTENT_TYPE", "").partition(";")[0]
    if media_type.strip().lower() != "application/json":
        raise UnsupportedMediaType
    return parse(read_bytes(environ, MAX_BYTES))


def parse(raw: bytes) -> dict[str, object]:
    """Parse *raw* as a JSON object.

    Raises:
        InvalidRequest: it is not a JSON object, or contains a name twice.
    """
    try:
        value = _DECODER.decode(raw.decode())
    except UnicodeDecodeError:
        _reject("is not UTF-8")
    except json.JSONDecodeError as error:
        _reject(f"is not JSON (line {error.lineno}, column {error.colno})" if raw else "is empty")
    except ValueError:
        _reject("has an invalid number, or one that is too long")
    except RecursionError:
        _reject("is nested too deeply")
    if isinstance(value, _DuplicateKey):
        _reject("is given twice", json_pointer(value.name))
    if not isinstance(value, dict):
        _reject("must be an object")
    return value


def read_bytes(environ: WSGIEnvironment, limit: int) -> bytes:
    """Read the body directly from the server's stream; Flask's wrapper takes longer than parsing.

    A chunked body has no declared length. It is read up to one byte beyond the limit, and no further.

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
    raw = _read_stream(environ["wsgi.input"], limit + 1 if length is None else length)
    if len(raw) > limit:
        raise PayloadTooLarge
    if length is not None and len(raw) < length:
        _reject("ended too early")
    return raw


def _read_stream(stream: IO[bytes], max_bytes: int) -> bytes:
    raw = b""
    try:
        while len(raw) < max_bytes and (chunk := stream.read(max_bytes - len(raw))):
            raw += chunk
    except OSError:
        _reject("ended too early")
    return raw


class _DuplicateKey:
    """Replaces an object that has the same name twice. As the value of a field it fails validation."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.name = Counter(name for name, _ in pairs).most_common(1)[0][0]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _DuplicateKey:
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else _DuplicateKey(pairs)


def _reject_constant(_: str) -> NoReturn:
    raise ValueError


def _reject(detail: str, where: str = "") -> NoReturn:
    raise InvalidRequest([FieldError(pointer=where, detail=detail)]) from None


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_reject_constant)
"""Created once: `json.loads` with these arguments would create one per call."""
