"""The blueprint: every route, and the request lifecycle around every view.

The lifecycle is our own wrapper, not Flask's error handlers and hooks. So the blueprint can be registered in
any application: no exception from a view reaches that application, and nothing in it is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

from flask import Blueprint, Flask, Request, Response
from flask import request as current_request

from otp_service.domain import address_probe as probes
from otp_service.domain.clients import KeyKind
from otp_service.domain.errors import OtpError
from otp_service.domain.proofs import Proof
from otp_service.web import address_probe, aliyun_reports
from otp_service.web.api import (
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
from otp_service.web.api.client_ip import client_ip
from otp_service.web.api.endpoints import ApiCall
from otp_service.web.api.request_log import RequestLog
from otp_service.web.api.responses import no_content, respond
from otp_service.web.api.routes import ENDPOINTS, Endpoint
from otp_service.web.api.schemas import ResponseModel
from otp_service.web.dependencies import ApiDependencies
from otp_service.web.hosted_page import views
from otp_service.web.pages import FILES, PAGES

View = Callable[[Request, RequestLog], Response]
WrappedView = Callable[[Request], Response]


class OtpBlueprint(Blueprint):
    """The whole API: register it, with or without a URL prefix, and close it before the process ends."""

    def __init__(self, deps: ApiDependencies, close: Callable[[], None]) -> None:
        super().__init__("otp_service", __name__)
        self.close = close
        self._deps = deps
        register_routes(self, deps)

    def redeem_for(self, client: str) -> Callable[..., Proof]:
        """Return a function that redeems proofs of *client* without a network call, for `require_proof`.

        Call it as `redeem(proof, purpose=…)`. It returns the claims or raises an error of `domain.errors`.

        Raises:
            KeyError: there is no such client.
        """
        service, known = self._deps.service, self._deps.clients[client]

        def redeem(proof: str, *, purpose: str, allow_test: bool = False) -> Proof:
            return service.redeem(known, proof, purpose=purpose, allow_test=allow_test).proof

        return redeem


def create_blueprint(deps: ApiDependencies) -> Blueprint:
    """Return the whole API as a blueprint, to be registered with or without a URL prefix."""
    blueprint = Blueprint("otp_service", __name__)
    register_routes(blueprint, deps)
    return blueprint


def install_problems(app: Flask, deps: ApiDependencies) -> None:
    """Make *app* respond with problem documents where no view of the blueprint is reached.

    That covers unknown paths, wrong methods and errors of Flask. Use it only for an application that serves
    nothing but the API.
    """

    def respond_with_problem(error: Exception) -> Response:
        wrapped = with_request_lifecycle(deps, "none", partial(_raise, error), check_target=False)
        return wrapped(current_request)

    # Flask would redirect a POST with double slashes. `request_target` rejects those at the start of a path.
    app.url_map.merge_slashes = False
    app.register_error_handler(Exception, respond_with_problem)


# ── routes ──


def register_routes(blueprint: Blueprint, deps: ApiDependencies) -> None:
    """Add all routes to *blueprint*."""
    for endpoint in ENDPOINTS:
        for_browsers = KeyKind.PUBLISHABLE in endpoint.callers
        view = partial(endpoint_view, deps, endpoint)
        wrapped = with_request_lifecycle(deps, endpoint.name, view, cross_origin=for_browsers)
        _add(blueprint, endpoint.path, endpoint.name, "POST", wrapped)
        if for_browsers:
            name = f"{endpoint.name}_preflight"
            wrapped = with_request_lifecycle(deps, name, partial(_preflight, deps), log_success=False)
            _add(blueprint, endpoint.path, name, "OPTIONS", wrapped)
    for path, page in (*PAGES.items(), *FILES.items()):
        view = partial(_page_view, deps, page)
        name = page.__name__
        _add(blueprint, path, name, "GET", with_request_lifecycle(deps, name, view, log_success=False))
    _add_hosted_page(blueprint, deps)
    _add_report_receiver(blueprint, deps)
    _add_address_probe(blueprint, deps)


def _add(
    blueprint: Blueprint, path: str, name: str, methods: str | Collection[str], wrapped: WrappedView
) -> None:
    def view(**_: str) -> Response:
        return wrapped(current_request)

    allowed = [methods] if isinstance(methods, str) else list(methods)
    blueprint.add_url_rule(
        path, name, view, methods=allowed, provide_automatic_options=False, strict_slashes=True
    )


def _add_hosted_page(blueprint: Blueprint, deps: ApiDependencies) -> None:
    shown = with_request_lifecycle(deps, "hosted_page", partial(views.get, deps), log_success=False)
    submitted = with_request_lifecycle(deps, "hosted_form", partial(views.post, deps))
    _add(blueprint, views.PATH, "hosted_page", "GET", shown)
    _add(blueprint, views.PATH, "hosted_form", "POST", submitted)


def _add_report_receiver(blueprint: Blueprint, deps: ApiDependencies) -> None:
    receiver = deps.report_receiver
    if receiver is None:
        return

    def view(request: Request, _: RequestLog) -> Response:
        return receiver.handle(request)

    wrapped = with_request_lifecycle(deps, "reports", view, log_success=False)
    _add(blueprint, aliyun_reports.PATH, "reports", aliyun_reports.METHODS, wrapped)


def _add_address_probe(blueprint: Blueprint, deps: ApiDependencies) -> None:
    probe = deps.address_probe
    if probe is None:
        return

    def view(request: Request, _: RequestLog) -> Response:
        return address_probe.post(request, probe, deps.proxy_trust, deps.clock.now())

    wrapped = with_request_lifecycle(deps, "address_probe", view, log_success=False)
    _add(blueprint, probes.PATH, "address_probe", "POST", wrapped)


# ── the request lifecycle ──


def with_request_lifecycle(
    deps: ApiDependencies,
    name: str,
    view: View,
    *,
    log_success: bool = True,
    cross_origin: bool = False,
    check_target: bool = True,
) -> WrappedView:
    """Wrap *view* with a request id, the check of the request target, problem documents and a log event.

    Args:
        deps: what the views need.
        name: the endpoint in the log and in the metrics.
        view: called with the request and its log.
        log_success: whether successful requests are logged as well.
        cross_origin: pages of the configured origins may read every response, including problems. Once the
            key is known, only origins of its client count; before that, those of all clients.
        check_target: reject other notations of the path.
    """

    def wrapped(request: Request) -> Response:
        request_id.begin()
        environ = request.environ
        log = RequestLog(name, deps.clock.monotonic(), deps.clients.origins)
        request_log.begin(log)
        try:
            if check_target:
                request_target.check(environ)
            response = view(request, log)
        except Exception as cause:  # noqa: BLE001 - the caller gets a problem document, whatever happens
            error = problems.from_exception(cause)
            log.add_error(error, cause, deps.events)
            response = problems.render(error, cause)
            response.headers.extend(_rate_limit_headers(deps, log, error))
        if log.code or log_success:
            log.emit(response.status_code, deps.events, deps.clock)
        request_log.end()
        request_id.end()
        if cross_origin:
            cors.add_headers(response, environ.get("HTTP_ORIGIN"), log.origins)
        return response

    return wrapped


def endpoint_view(deps: ApiDependencies, endpoint: Endpoint, request: Request, log: RequestLog) -> Response:
    """Authenticate a request, validate its body, call the view of *endpoint* and render the result."""
    environ = request.environ
    caller = auth.authenticate(environ.get("HTTP_AUTHORIZATION"), deps.clients)
    if caller.kind is KeyKind.SECRET:
        request_id.adopt(environ.get("HTTP_X_REQUEST_ID"))
    log.client = caller.client.id
    log.origins = caller.origins
    auth.require_kind(caller, endpoint.callers)
    if caller.kind is KeyKind.SECRET:
        log.server = caller.client
    else:
        auth.require_origin(caller, environ.get("HTTP_ORIGIN"))
        caller = replace(caller, client_ip=client_ip(environ, deps.proxy_trust, deps.on_unreadable_ip))
    fields = json_body.read(environ)
    body = endpoint.body.read(fields)
    key = None
    if endpoint.supports_idempotency and (header := environ.get("HTTP_IDEMPOTENCY_KEY")) is not None:
        key = idempotency.read(header, fields, caller.kind)
    result = endpoint.view(ApiCall(deps, caller, request, key), body)
    if result.body is None:
        return no_content()
    replayed = (idempotency.REPLAYED,) if result.replayed else ()
    headers = (*replayed, *_rate_limit_headers(deps, log, result.body))
    return respond(result.status, result.body.model_dump_json(), headers=headers)


def _preflight(deps: ApiDependencies, request: Request, _: RequestLog) -> Response:
    return cors.add_preflight_headers(no_content(), request.environ.get("HTTP_ORIGIN"), deps.clients.origins)


def _rate_limit_headers(
    deps: ApiDependencies, log: RequestLog, outcome: OtpError | ResponseModel
) -> rate_limit.Headers:
    if log.server is None:
        return ()
    return rate_limit.headers(outcome, partial(deps.service.rate_limit_policies, log.server))


def _page_view(
    deps: ApiDependencies,
    page: Callable[[ApiDependencies, Request], Response],
    request: Request,
    _: RequestLog,
) -> Response:
    return page(deps, request)


def _raise(error: Exception, _: Request, __: RequestLog) -> Response:
    raise error
