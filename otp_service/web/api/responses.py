"""Responses with the headers that every response of this service has."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from typing import Self

from flask import Request, Response
from werkzeug.datastructures import Headers

from otp_service.web.api import request_id

JSON = "application/json"
JSON_POLICY = "default-src 'none'; frame-ancestors 'none'"

HeaderItems = tuple[tuple[str, str], ...]


def respond(
    status: int,
    body: str | bytes,
    *,
    media_type: str = JSON,
    policy: str = JSON_POLICY,
    cache: str = "no-store",
    headers: HeaderItems = (),
) -> Response:
    """Return a response. *policy* is its Content-Security-Policy, *cache* its Cache-Control."""
    fields = Headers(
        [
            ("Content-Type", media_type),
            ("Cache-Control", cache),
            ("Content-Security-Policy", policy),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            (request_id.HEADER, request_id.current()),
            *headers,
        ]
    )
    return Response(body, status, fields)


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file that never changes while the process runs, in both encodings and with its ETag."""

    plain: bytes
    compressed: bytes
    etag: str

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Compress *content* and compute its ETag."""
        return cls(content, gzip.compress(content, mtime=0), hashlib.sha256(content).hexdigest()[:16])


def respond_file(
    request: Request, file: StaticFile, *, media_type: str, cache: str, headers: HeaderItems = ()
) -> Response:
    """Return *file*, compressed if the client accepts gzip, or 304 if the client has it already."""
    accepts_gzip = request.accept_encodings.quality("gzip") > 0
    encoding = (("Content-Encoding", "gzip"),) if accepts_gzip else ()
    response = respond(
        200,
        file.compressed if accepts_gzip else file.plain,
        media_type=media_type,
        cache=cache,
        headers=(*headers, ("Vary", "Accept-Encoding"), *encoding),
    )
    response.set_etag(file.etag, weak=True)
    response.make_conditional(request)
    return response


def no_content() -> Response:
    """Return an empty response with status 204."""
    response = respond(204, b"")
    del response.headers["Content-Type"]
    return response
