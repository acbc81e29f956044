"""Cross-origin calls: which pages of others a browser may let call us. Touches nothing.

An origin is compared as a whole with those of the configuration; there are no patterns, no credentials, and
`null` is nobody's origin.
"""

from __future__ import annotations

from flask import Response

from otp_service.clients import Client, Clients

EXPOSED = "Retry-After, X-Request-Id, Idempotency-Replayed"
HEADERS = "Authorization, Content-Type, Idempotency-Key, X-Request-Id"
MAX_AGE = "600"
"""Seconds for which a browser need not ask again."""


def dress(response: Response, origin: str | None, clients: Clients, client: Client | None) -> Response:
    """Let pages of *origin* read *response*, if *client* knows it, or any client while nobody is known."""
    response.headers["Vary"] = "Origin"
    allowed = client.origins if client else clients.origins
    if origin is not None and origin in allowed:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = EXPOSED
    return response


def preflight(response: Response, origin: str | None, clients: Clients) -> Response:
    """Answer a browser that asks whether pages of *origin* may call; it brings no key yet."""
    dress(response, origin, clients, None)
    if "Access-Control-Allow-Origin" in response.headers:
        response.headers["Access-Control-Allow-Methods"] = "POST"
        response.headers["Access-Control-Allow-Headers"] = HEADERS
        response.headers["Access-Control-Max-Age"] = MAX_AGE
        del response.headers["Access-Control-Expose-Headers"]
    return response
