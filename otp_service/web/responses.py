"""Responses: an answer's bytes with the headers that every response carries. Touches nothing."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from flask import Response
from werkzeug.datastructures import Headers

from otp_service.web import request_id

JSON = "application/json"
JSON_POLICY = "default-src 'none'; frame-ancestors 'none'"

_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

_ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)

_BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})

Fields = tuple[tuple[str, str], ...]


class FinishedResponse(Response):
    """A response whose header fields are complete: they reach the server as they are.

    Otherwise they would be copied, checked, and searched for what an API never says, at a tenth of the price
    of a verify.
    """

    def get_wsgi_headers(self, environ: Any) -> Headers:
        """Return the header fields; where there is no body, without those of one."""
        return super().get_wsgi_headers(environ) if self.status_code in _BODILESS else self.headers

    def get_app_iter(self, environ: Any) -> Iterable[bytes]:
        """Return the body as the list that it is, if it is one and nobody waits for its end.

        granian sends a list with the head, and asks for the parts of everything else one by one, each time
        in need of the interpreter.
        """
        is_bare = environ["REQUEST_METHOD"] == "HEAD" or self.status_code in _BODILESS
        if is_bare or self._on_close or not isinstance(self.response, list):
            return super().get_app_iter(environ)
        return self.response


class _Checked(Headers):
    """Header fields that hold no line break, for certain: texts of our own, and an id of a strict form."""

    def __init__(self, *fields: tuple[str, str]) -> None:
        super().__init__()
        self._list = list(fields)


def respond(
    status: int,
    body: str | bytes,
    *,
    media_type: str = JSON,
    policy: str = JSON_POLICY,
    cache: str = "no-store",
    headers: Fields = (),
) -> Response:
    """Return a response of the call at hand, its Content-Security-Policy and its Cache-Control."""
    sent = body.encode() if isinstance(body, str) else body
    fields = _Checked(
        ("Content-Type", media_type),
        ("Content-Length", str(len(sent))),
        ("Cache-Control", cache),
        ("Content-Security-Policy", policy),
        *_ALWAYS,
        (request_id.HEADER, request_id.current()),
    )
    for name, value in headers:
        fields.add(name, value)
    return FinishedResponse([sent], _LINES[status], fields)


def nothing() -> Response:
    """Return the response of a call that has nothing to tell."""
    response = respond(204, b"")
    del response.headers["Content-Type"]
    return response
