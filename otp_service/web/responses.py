"""Responses: an answer's bytes with the headers that every response carries. Touches nothing."""

from __future__ import annotations

from http import HTTPStatus

from flask import Response

from otp_service.web import request_id

JSON = "application/json"
JSON_POLICY = "default-src 'none'; frame-ancestors 'none'"

_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

_ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)


def respond(
    status: int,
    body: str | bytes,
    *,
    media_type: str = JSON,
    policy: str = JSON_POLICY,
    cache: str = "no-store",
    headers: tuple[tuple[str, str], ...] = (),
) -> Response:
    """Return a response of the call at hand, its Content-Security-Policy and its Cache-Control."""
    fixed = (
        ("Cache-Control", cache),
        ("Content-Type", media_type),
        ("Content-Security-Policy", policy),
        (request_id.HEADER, request_id.current()),
    )
    return Response(body, _LINES[status], [*_ALWAYS, *fixed, *headers])


def nothing() -> Response:
    """Return the response of a call that has nothing to tell."""
    response = respond(204, b"")
    del response.headers["Content-Type"]
    return response
