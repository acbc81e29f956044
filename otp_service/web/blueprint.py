"""The blueprint: every address, and the one frame around all views. Touches Flask.

The frame is ours rather than Flask's error handlers and hooks, so that the blueprint can be mounted in
anybody's application: nothing raised here reaches the application, nothing of the application is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from wsgiref.types import WSGIEnvironment

from flask import Blueprint, Flask, Response, request

from otp_service.domain import address_probe
from otp_service.domain.clients import KeyKind
from otp_service.domain.errors import OtpError
from otp_service.web import aliyun_reports
from otp_service.web.api import (
    address_probes,
    auth,
    cors,
    idempotency,
    json_body,
    problems,
    rate_limit,
    request_id,
    request_log,
    request_target,
)
from otp_service.web.api.answers import Answer
from otp_service.web.api.client_ip import address_of
from otp_service.web.api.request_log import RequestLog
from otp_service.web.api.responses import nothing, respond
from otp_service.web.api.routes import ENDPOINTS, Endpoint
from otp_service.web.dependencies import ApiDependencies
from otp_service.web.hosted_page import views
from otp_service.web.pages import PAGES

View = Callable[[RequestLog], Response]
Framed = Callable[[WSGIEnvironment], Response]


def create_blueprint(parts: ApiDependencies) -> Blueprint:
    """Return the whole API, ready to be registered, under a prefix or without one."""
    blueprint = Blueprint("otp_service", __name__)
    add_addresses(blueprint, parts)
    return blueprint


def add_addresses(blueprint: Blueprint, parts: ApiDependencies) -> None:
    """Give *blueprint* the whole API."""
    for call in ENDPOINTS:
        for_pages = KeyKind.PUBLISHABLE in call.callers
        framed = _framed(parts, call.name, partial(_answer, parts, call), for_pages=for_pages)
        _add(blueprint, call.path, call.name, "POST", framed)
        if for_pages:
            name = f"{call.name}_preflight"
            asked = _framed(parts, name, partial(_preflight, parts), quiet=True)
            _add(blueprint, call.path, name, "OPTIONS", asked)
    for path, page in PAGES.items():
        name = page.__name__
        _add(blueprint, path, name, "GET", _framed(parts, name, partial(_show, parts, page), quiet=True))
    _add_hosted_pages(blueprint, parts)
    if intake := parts.intake:
        view = _framed(parts, "reports", lambda _: intake.answer(), quiet=True)
        _add(blueprint, aliyun_reports.PATH, "reports", aliyun_reports.METHODS, view)
    if probe := parts.address_probe:

        def probed(record: RequestLog) -> Response:
            return address_probes.answer(probe, parts.trust, record.environ, parts.clock.now())

        framed = _framed(parts, "address_probe", probed, quiet=True)
        _add(blueprint, address_probe.PATH, "address_probe", "POST", framed)


def _add(blueprint: Blueprint, path: str, name: str, methods: str | Collection[str], framed: Framed) -> None:
    """Give *blueprint* a view that hands on the request at hand."""

    def view(**_: str) -> Response:
        return framed(request.environ)

    allowed = [methods] if isinstance(methods, str) else list(methods)
    blueprint.add_url_rule(
        path, name, view, methods=allowed, provide_automatic_options=False, strict_slashes=True
    )


def _add_hosted_pages(blueprint: Blueprint, parts: ApiDependencies) -> None:
    shown = _framed(parts, "hosted_page", partial(views.show, parts), quiet=True)
    taken = _framed(parts, "hosted_form", partial(views.take, parts))
    _add(blueprint, views.PATH, "hosted_page", "GET", shown)
    _add(blueprint, views.PATH, "hosted_form", "POST", taken)
    for path, file in views.FILES:
        name = f"hosted_{file.__name__}"
        _add(blueprint, path, name, "GET", _framed(parts, name, partial(_show, parts, file), quiet=True))


def install_problems(app: Flask, parts: ApiDependencies) -> None:
    """Make *app* answer with problem documents where no view of ours is reached.

    That is at unknown addresses, for wrong methods and defects of the framework. It is meant for an
    application that is ours alone; in somebody else's they are its own affair.
    """

    def problem(error: Exception) -> Response:
        return _framed(parts, "none", partial(_raise, error), anywhere=True)(request.environ)

    # Slashes inside a path are no redirect of a POST; those at its start are refused by `request_target`.
    app.url_map.merge_slashes = False
    app.register_error_handler(Exception, problem)


def _framed(
    parts: ApiDependencies,
    name: str,
    view: View,
    *,
    quiet: bool = False,
    for_pages: bool = False,
    anywhere: bool = False,
) -> Framed:
    """Put the frame around *view*: request id, exact spelling of the address, problem documents, audit.

    *quiet*: success is no event. *anywhere*: the view is for any spelling of any address. *for_pages*: pages
    of the configured origins may read whatever is answered, problems too. Whose pages they must be is known
    once the key is; before that, any client's pages may read.
    """

    def framed(environ: WSGIEnvironment) -> Response:
        request_id.begin()
        record = RequestLog(name, parts.clock.monotonic(), environ, parts.clients.origins)
        request_log.begin(record)
        try:
            if not anywhere:
                request_target.check(environ)
            response = view(record)
        except Exception as cause:  # noqa: BLE001 - whatever happens, the caller gets a problem and no more
            error = problems.read(cause)
            record.failed(error, cause, parts.events)
            response = problems.render(error, cause)
            response.headers.extend(_limits(parts, record, error))
        if record.code or not quiet:
            record.ended(response.status_code, parts.events, parts.clock)
        request_log.end()
        request_id.end()
        if for_pages:
            cors.dress(response, environ.get("HTTP_ORIGIN"), record.origins)
        return response

    return framed


def _preflight(parts: ApiDependencies, record: RequestLog) -> Response:
    return cors.preflight(nothing(), record.environ.get("HTTP_ORIGIN"), parts.clients.origins)


def _answer(parts: ApiDependencies, call: Endpoint, record: RequestLog) -> Response:
    environ = record.environ
    caller = auth.authenticate(environ.get("HTTP_AUTHORIZATION"), parts.clients)
    if caller.kind is KeyKind.SECRET:
        request_id.adopt(environ.get("HTTP_X_REQUEST_ID"))
    record.client = caller.client.id
    record.origins = caller.origins
    auth.admit(caller, call.callers)
    if caller.kind is KeyKind.SECRET:
        record.server = caller.client
    else:
        auth.admit_origin(caller, environ.get("HTTP_ORIGIN"))
        caller = replace(caller, address=address_of(environ, parts.trust, parts.on_unreadable_ip))
    told = json_body.read(environ)
    read = call.body.read(told)
    if call.repeatable:
        repeat = idempotency.read(environ.get("HTTP_IDEMPOTENCY_KEY"), told, caller.kind)
        reply = call.view(parts, caller, read, repeat)
    else:
        reply = call.view(parts, caller, read)
    if reply.answer is None:
        return nothing()
    replayed = (idempotency.REPLAYED,) if reply.replayed else ()
    headers = (*replayed, *_limits(parts, record, reply.answer))
    return respond(reply.status, reply.answer.model_dump_json(), headers=headers)


def _limits(parts: ApiDependencies, record: RequestLog, outcome: OtpError | Answer) -> rate_limit.Headers:
    if record.server is None:
        return ()
    return rate_limit.of(outcome, partial(parts.service.rate_limit_policies, record.server))


def _show(parts: ApiDependencies, page: Callable[[ApiDependencies], Response], _: RequestLog) -> Response:
    return page(parts)


def _raise(error: Exception, _: RequestLog) -> Response:
    raise error
