"""`GET /docs` and the files that it loads."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from flask import Request, Response

from otp_service.web.api.responses import StaticFile, respond, respond_file
from otp_service.web.dependencies import ApiDependencies

POLICY = (
    # Redoc creates style sheets in the browser, which needs 'unsafe-inline'. Scripts must be our own files.
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
CACHE = "no-cache"
"""Browsers ask each time whether a file has changed, so that an upgrade takes effect at once."""

_FOLDER = Path(__file__).parent


def docs(_: ApiDependencies, __: Request) -> Response:
    """Return the page that renders the OpenAPI document."""
    html = (_FOLDER / "docs.html").read_text("utf-8")
    return respond(200, html, media_type="text/html; charset=utf-8", policy=POLICY)


def docs_style(_: ApiDependencies, request: Request) -> Response:
    """Return the style sheet of the docs page."""
    return _respond_file(request, "docs.css", "text/css; charset=utf-8")


def docs_script(_: ApiDependencies, request: Request) -> Response:
    """Return the script of the docs page."""
    return _respond_file(request, "docs.js", "text/javascript; charset=utf-8")


def docs_redoc(_: ApiDependencies, request: Request) -> Response:
    """Return Redoc."""
    return _respond_file(request, "redoc.standalone.js", "text/javascript; charset=utf-8")


def _respond_file(request: Request, name: str, media_type: str) -> Response:
    return respond_file(request, _file(name), media_type=media_type, cache=CACHE)


@cache
def _file(name: str) -> StaticFile:
    return StaticFile.of((_FOLDER / name).read_bytes())
