"""The hosted page over HTTP: the page itself, its forms, its style and its script.

The response to every form is a redirect to the page. A visitor who reloads, clicks twice or comes back sees
the current state and sends nothing twice. GET and HEAD change nothing. Errors are shown as sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from urllib.parse import parse_qsl, urlsplit

from flask import Request, Response

from otp_service.domain import hosted_page, text_normalization
from otp_service.domain.errors import FieldError, InvalidRequest, RetryableError, UnsupportedMediaType
from otp_service.services.hosted_pages import FormSubmission, PageUnavailable, PageUnavailableReason
from otp_service.web.api import json_body, problems
from otp_service.web.api.client_ip import client_ip
from otp_service.web.api.request_log import RequestLog
from otp_service.web.api.responses import respond
from otp_service.web.dependencies import ApiDependencies
from otp_service.web.hosted_page.rendering import (
    FOLDER,
    RenderedPage,
    render_failure,
    render_page,
    render_unavailable,
)
from otp_service.web.hosted_page.translations import negotiate_language

PATH = "/otp/pages/<page_id>"
_FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 10
_MAX_LENGTH = text_normalization.MAX_LENGTH + 1
"""Characters of a phone or a code that are kept: one more than is allowed, so that too many are rejected."""

View = Callable[[ApiDependencies, Request, RequestLog], Response]

_STATUSES = {PageUnavailableReason.GONE: 410, PageUnavailableReason.TAKEN: 403}
_COOKIE = "otp_page"
_HEADERS = (("X-Frame-Options", "DENY"), ("Cross-Origin-Opener-Policy", "same-origin"))


def page_url(deps: ApiDependencies, request: Request, page_id: str) -> str:
    """Return the URL of a page as a browser sees it."""
    base = deps.public_url or request.base_url.rpartition("/otp/pages")[0]
    return f"{base.rstrip('/')}/otp/pages/{page_id}"


def get(deps: ApiDependencies, request: Request, log: RequestLog) -> Response:
    """Return the page in its current state."""
    return _as_html(deps, request, log, _show)


def post(deps: ApiDependencies, request: Request, log: RequestLog) -> Response:
    """Process a form of the page, and redirect the browser to the page."""
    return _as_html(deps, request, log, _submit)


def hosted_style(_: ApiDependencies, __: Request) -> Response:
    """Return the style sheet of all hosted pages."""
    return respond(200, _file("hosted.css"), media_type="text/css; charset=utf-8")


def hosted_script(_: ApiDependencies, __: Request) -> Response:
    """Return the script of all hosted pages."""
    return respond(200, _file("hosted.js"), media_type="text/javascript; charset=utf-8")


def _show(deps: ApiDependencies, request: Request, _: RequestLog) -> Response:
    page_id = _page_id(request)
    view = deps.pages.view(page_id, _browser_token(request))
    language = negotiate_language(view.page.locale, *request.accept_languages.values())
    html = render_page(view, language, international=len(deps.dialing) > 1)
    response = _respond(200, html)
    _set_cookie(response, page_url(deps, request, page_id), view.browser_token)
    return response


def _submit(deps: ApiDependencies, request: Request, log: RequestLog) -> Response:
    page_id = _page_id(request)
    form = _form(request)
    caller_ip = client_ip(request.environ, deps.proxy_trust, deps.on_unreadable_ip)
    log.client, error = deps.pages.submit(page_id, _browser_token(request), form, caller_ip)
    if error:
        log.add_error(error, error, deps.events)
    # Relative to the URL of the request, so that it is correct behind any proxy.
    return respond(303, "", headers=(("Location", page_id), *_HEADERS))


def _as_html(deps: ApiDependencies, request: Request, log: RequestLog, view: View) -> Response:
    """Return the response of *view*, with every error as an HTML page."""
    try:
        return view(deps, request, log)
    except PageUnavailable as unavailable:
        language = negotiate_language(*request.accept_languages.values())
        return _respond(_STATUSES[unavailable.reason], render_unavailable(unavailable.reason, language))
    except Exception as cause:  # noqa: BLE001 - a person gets a page, whatever happens
        error = problems.from_exception(cause)
        log.add_error(error, cause, deps.events)
        wait = error.retry_after if isinstance(error, RetryableError) else 0
        language = negotiate_language(*request.accept_languages.values())
        return _respond(problems.status_of(error), render_failure(language, error.code, wait))


def _respond(status: int, page: RenderedPage) -> Response:
    return respond(
        status, page.html, media_type="text/html; charset=utf-8", policy=page.policy, headers=_HEADERS
    )


def _page_id(request: Request) -> str:
    return str((request.view_args or {}).get("page_id", ""))


# ── the cookie ──


def _browser_token(request: Request) -> str:
    return request.cookies.get(_COOKIE, "")


def _set_cookie(response: Response, url: str, browser_token: str) -> None:
    """Store the browser token for this page only. `Lax`, because the visitor comes from another site."""
    parts = urlsplit(url)
    response.set_cookie(
        _COOKIE,
        browser_token,
        max_age=hosted_page.PAGE_TTL,
        path=parts.path,
        secure=parts.scheme == "https",
        httponly=True,
        samesite="Lax",
    )


# ── the form ──


def _form(request: Request) -> FormSubmission:
    """Parse the form.

    Raises:
        UnsupportedMediaType, PayloadTooLarge, InvalidRequest: the body is not a form of the page.
    """
    if request.mimetype != _FORM:
        raise UnsupportedMediaType
    fields = _fields(json_body.read_bytes(request.environ, json_body.MAX_BYTES))
    return FormSubmission(
        key=fields.get("form_key", ""),
        action=fields.get("wish", ""),
        phone=fields.get("phone", "").strip()[:_MAX_LENGTH],
        code=fields.get("code", "")[:_MAX_LENGTH],
        solution=fields.get("risk_solution", ""),
    )


def _fields(raw: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(raw.decode("ascii"), errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise InvalidRequest([FieldError(pointer="", detail="is not a form")]) from None
    return dict(pairs)


@cache
def _file(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")
