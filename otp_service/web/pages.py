"""Pages: what may be read without a key. Touches the store (readiness) and nothing else."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from flask import Response, request

from otp_service.web.api import answers
from otp_service.web.api.responses import respond
from otp_service.web.dependencies import ApiDependencies
from otp_service.web.widget import views

if TYPE_CHECKING:
    from otp_service.web.api.docs_page import Page


def healthz(_: ApiDependencies) -> Response:
    """Tell that the process answers. The store has no say: a restart would not mend it."""
    return respond(200, answers.HealthAnswer().model_dump_json())


def readyz(parts: ApiDependencies) -> Response:
    """Tell whether calls can be served."""
    persists = parts.store.check_health()
    told = answers.ready(parts.routes(), persists=persists, alarm=parts.alarm())
    return respond(200, told.model_dump_json())


def openapi_json(_: ApiDependencies) -> Response:
    """Return the OpenAPI document, with this blueprint's address as its server."""
    from otp_service.web.api import openapi

    server = (request.script_root + request.path).removesuffix("/openapi.json")
    return respond(200, openapi.text(server or "/"))


def docs(_: ApiDependencies) -> Response:
    """Return the same document for people."""
    page = _docs_page()
    return respond(200, page.html, media_type="text/html; charset=utf-8", policy=page.policy)


def widget_js(parts: ApiDependencies) -> Response:
    """Return the module for signup pages."""
    return views.widget(parts.dialing)


@cache
def _docs_page() -> Page:
    from otp_service.web.api import docs_page, openapi

    return docs_page.render(openapi.document())


PAGES = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/openapi.json": openapi_json,
    "/docs": docs,
    "/otp/widget.js": widget_js,
}
