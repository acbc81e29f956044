"""The routes that need no key: health checks, the OpenAPI document and its web page, static files."""

from __future__ import annotations

from collections.abc import Callable

from flask import Request, Response

from otp_service.web.api import schemas
from otp_service.web.api.responses import respond
from otp_service.web.dependencies import ApiDependencies
from otp_service.web.docs_page.views import docs, docs_redoc, docs_script, docs_style
from otp_service.web.hosted_page.views import hosted_script, hosted_style
from otp_service.web.widget import views as widget_views


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


def widget_js(deps: ApiDependencies, request: Request) -> Response:
    """Return the widget's module for signup pages."""
    return widget_views.get(deps.dialing, request)


PageView = Callable[[ApiDependencies, Request], Response]

PAGES: dict[str, PageView] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/openapi.json": openapi_json,
    "/docs": docs,
    "/otp/widget.js": widget_js,
}
"""The routes that the OpenAPI document lists."""

FILES: dict[str, PageView] = {
    "/docs/docs.css": docs_style,
    "/docs/docs.js": docs_script,
    "/docs/redoc.standalone.js": docs_redoc,
    "/otp/page.css": hosted_style,
    "/otp/page.js": hosted_script,
}
"""The files of pages, which only browsers request."""
