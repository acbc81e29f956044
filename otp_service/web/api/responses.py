"""Responses with the headers that every response of this service has."""

from __future__ import annotations

from flask import Response
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


def no_content() -> Response:
    """Return an empty response with status 204."""
    response = respond(204, b"")
    del response.headers["Content-Type"]
    return response
