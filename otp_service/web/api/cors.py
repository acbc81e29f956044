"""Cross-origin calls: which pages a browser may let call us and read our answers.

An origin is compared as a whole with those of the configuration; there are no patterns, no credentials, and
`null` is nobody's origin. It is a rule for browsers: what keeps strangers out is the key and its limits.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from flask import Response

EXPOSED = "retry-after, x-request-id, idempotency-replayed"
HEADERS = "authorization, content-type, idempotency-key"
MAX_AGE = "600"
"""Seconds for which a browser need not ask again."""


def dress(response: Response, origin: str | None, origins: AbstractSet[str]) -> Response:
    """Let the page of *origin* read *response*, if it is one of *origins*."""
    if _let_in(response, origin, origins):
        response.headers["Access-Control-Expose-Headers"] = EXPOSED
    return response


def preflight(response: Response, origin: str | None, origins: AbstractSet[str]) -> Response:
    """Tell a browser that asks first whether the page of *origin*, one of *origins*, may call."""
    if _let_in(response, origin, origins):
        response.headers["Access-Control-Allow-Methods"] = "POST"
        response.headers["Access-Control-Allow-Headers"] = HEADERS
        response.headers["Access-Control-Max-Age"] = MAX_AGE
    return response


def _let_in(response: Response, origin: str | None, origins: AbstractSet[str]) -> bool:
    response.headers.add("Vary", "Origin")  # in any case: no cache may tell one page what another was told
    if origin is None or origin not in origins:
        return False
    response.headers["Access-Control-Allow-Origin"] = origin
    return True
