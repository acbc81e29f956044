"""Cross-origin requests: which pages may call the API and read its responses in a browser.

An origin must equal a configured one exactly. There are no patterns and no credentials, and `null` never
matches. Only browsers enforce CORS; the key and its limits keep strangers out.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from flask import Response

EXPOSED_HEADERS = "retry-after, x-request-id, idempotency-replayed"
ALLOWED_HEADERS = "authorization, content-type, idempotency-key"
MAX_AGE = "600"
"""Seconds for which a browser may cache the response to a preflight."""


def add_headers(response: Response, origin: str | None, origins: AbstractSet[str]) -> Response:
    """Let the page at *origin* read *response* if *origin* is one of *origins*."""
    if _allow_origin(response, origin, origins):
        response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    return response


def add_preflight_headers(response: Response, origin: str | None, origins: AbstractSet[str]) -> Response:
    """Tell a browser whether the page at *origin* may call the API; it may if *origin* is in *origins*."""
    if _allow_origin(response, origin, origins):
        response.headers["Access-Control-Allow-Methods"] = "POST"
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = MAX_AGE
    return response


def _allow_origin(response: Response, origin: str | None, origins: AbstractSet[str]) -> bool:
    response.headers.add("Vary", "Origin")  # always: no cache may serve the response to another page
    if origin is None or origin not in origins:
        return False
    response.headers["Access-Control-Allow-Origin"] = origin
    return True
