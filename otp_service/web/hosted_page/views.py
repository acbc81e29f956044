"""Hosted pages over HTTP: the address of one, its forms, its style and its script. Touches Flask.

A form is always answered by a redirect to the page: a visitor who reloads, clicks twice or comes back sees
how things stand, and sends nothing twice. GET and HEAD change nothing. Problems are told in plain words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from urllib.parse import parse_qsl, urlsplit

from flask import Request, Response, request

from otp_service.domain import hosted_page, typed_text
from otp_service.domain.errors import FieldError, InvalidRequest, RetryableError, UnsupportedMediaType
from otp_service.services.hosted_pages import FormSubmission, PageUnavailable, PageUnavailableReason
from otp_service.web.api import json_body, problems
from otp_service.web.api.client_ip import address_of
from otp_service.web.api.request_log import RequestLog
from otp_service.web.api.responses import respond
from otp_service.web.dependencies import ApiDependencies
from otp_service.web.hosted_page.rendering import FOLDER, Html, draw, draw_closed, draw_failure
from otp_service.web.hosted_page.translations import speak

PATH = "/otp/pages/<page_id>"
_FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 10
_LONGEST = typed_text.MAX_LENGTH + 1
"""Characters of a phone or a code that are looked at: one more than any may have."""

View = Callable[[ApiDependencies, RequestLog], Response]

_STATUSES = {PageUnavailableReason.GONE: 410, PageUnavailableReason.TAKEN: 403}
_COOKIE = "otp_page"
_HEADERS = (("X-Frame-Options", "DENY"), ("Cross-Origin-Opener-Policy", "same-origin"))


def page_url(parts: ApiDependencies, page_id: str) -> str:
    """Return the address of a page as browsers write it."""
    known = parts.public_url or request.base_url.rpartition("/otp/pages")[0]
    return f"{known.rstrip('/')}/otp/pages/{page_id}"


def show(parts: ApiDependencies, record: RequestLog) -> Response:
    """Return the page as it stands."""
    return _for_people(parts, record, _shown)


def take(parts: ApiDependencies, record: RequestLog) -> Response:
    """Do what a form of the page asks for, and send its browser back to the page."""
    return _for_people(parts, record, _taken)


def style(_: ApiDependencies) -> Response:
    """Return the style of all hosted pages."""
    return respond(200, _file("hosted.css"), media_type="text/css; charset=utf-8")


def script(_: ApiDependencies) -> Response:
    """Return the script of all hosted pages."""
    return respond(200, _file("hosted.js"), media_type="text/javascript; charset=utf-8")


FILES = (("/otp/page.css", style), ("/otp/page.js", script))


def _shown(parts: ApiDependencies, _: RequestLog) -> Response:
    page_id = _page_id()
    look = parts.pages.view(page_id, _name())
    words = speak(look.page.locale, *request.accept_languages.values())
    response = _answer(200, draw(look, words, international=len(parts.dialing) > 1))
    _remember(response, parts, look.name)
    return response


def _taken(parts: ApiDependencies, record: RequestLog) -> Response:
    page_id = _page_id()
    form = _form(request)
    address = address_of(request.environ, parts.trust, parts.on_unreadable_ip)
    record.client, error = parts.pages.submit(page_id, _name(), form, address)
    if error:
        record.failed(error, error, parts.events)
    # Relative to the address at hand, so that it is right behind any proxy.
    return respond(303, "", headers=(("Location", page_id), *_HEADERS))


def _for_people(parts: ApiDependencies, record: RequestLog, view: View) -> Response:
    try:
        return view(parts, record)
    except PageUnavailable as closed:
        words = speak(*request.accept_languages.values())
        return _answer(_STATUSES[closed.reason], draw_closed(closed.reason, words))
    except Exception as cause:  # noqa: BLE001 - whatever happens, a person gets a page and no more
        error = problems.read(cause)
        record.failed(error, cause, parts.events)
        wait = error.retry_after if isinstance(error, RetryableError) else 0
        words = speak(*request.accept_languages.values())
        return _answer(problems.status_of(error), draw_failure(words, error.code, wait))


def _answer(status: int, html: Html) -> Response:
    return respond(
        status, html.text, media_type="text/html; charset=utf-8", policy=html.policy, headers=_HEADERS
    )


def _page_id() -> str:
    return str((request.view_args or {}).get("page_id", ""))


# ── the browser's name ──


def _name() -> str:
    return request.cookies.get(_COOKIE, "")


def _remember(response: Response, parts: ApiDependencies, name: str) -> None:
    """Give the browser its name, for this page alone. `Lax`: it comes here from another site."""
    address = urlsplit(page_url(parts, _page_id()))
    response.set_cookie(
        _COOKIE,
        name,
        max_age=hosted_page.PAGE_TTL,
        path=address.path,
        secure=address.scheme == "https",
        httponly=True,
        samesite="Lax",
    )


# ── what was typed ──


def _form(asked: Request) -> FormSubmission:
    """Return the form that was sent.

    Raises:
        UnsupportedMediaType, PayloadTooLarge, InvalidRequest: it is none of ours.
    """
    if asked.mimetype != _FORM:
        raise UnsupportedMediaType
    fields = _fields(json_body.read_bytes(asked.environ, json_body.MAX_BYTES))
    return FormSubmission(
        key=fields.get("form_key", ""),
        wish=fields.get("wish", ""),
        phone=fields.get("phone", "").strip()[:_LONGEST],
        code=fields.get("code", "")[:_LONGEST],
        solution=fields.get("risk_solution", ""),
    )


def _fields(raw: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(raw.decode("ascii"), errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise InvalidRequest([FieldError(pointer="", detail="is no form")]) from None
    return dict(pairs)


@cache
def _file(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")
