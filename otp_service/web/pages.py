"""The routes that need no key: health checks, the OpenAPI document and its web page, static files."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from flask import Request, Response

from otp_service.web.api import schemas
from otp_service.web.api.responses import respond
from otp_service.web.dependencies import ApiDependencies
from otp_service.web.hosted_page.views import hosted_script, hosted_style
from otp_service.web.widget import views as widget_views

if TYPE_CHECKING:
    from otp_service.web.api.docs_page import Page


def healthz(_: ApiDependencies, __: Request) -> Response:
    """Report that the process responds. Does not ask the store, since a restart would not repair it."""
    return respond(200, schemas.HealthResponse().model_dump_json())


def readyz(deps: ApiDependencies, _: Request) -> Response:
    """Report whether requests can be served."""
    persists = deps.store.check_health()
    ready = schemas.ready_response(
        deps.route_states(), persists=persists, risk_level=deps.global_risk_level()
    )
    return respond(200, ready.model_dump_json())


def openapi_json(_: ApiDependencies, request: Request) -> Response:
    """Return the OpenAPI document, with the URL of this blueprint as its server."""
    from otp_service.web.api import openapi

    server = (request.script_root + request.path).removesuffix("/openapi.json")
    return respond(200, openapi.text(server or "/"))


def docs(_: ApiDependencies, __: Request) -> Response:
    """Return the same document for people."""
    page = _docs_page()
    return respond(200, page.html, media_type="text/html; charset=utf-8", policy=page.policy)


def widget_js(deps: ApiDependencies, request: Request) -> Response:
    """Return the widget's module for signup pages."""
    return widget_views.get(deps.dialing, request)


@cache
def _docs_page() -> Page:
    from otp_service.web.api import docs_page, openapi

    return docs_page.render(openapi.document())


PageView = Callable[[ApiDependencies, Request], Response]

PAGES: dict[str, PageView] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/openapi.json": openapi_json,
    "/docs": docs,
    "/otp/widget.js": widget_js,
}
"""The routes that the OpenAPI document lists."""

FILES: dict[str, PageView] = {"/otp/page.css": hosted_style, "/otp/page.js": hosted_script}
"""Static files of pages, which only browsers request."""
