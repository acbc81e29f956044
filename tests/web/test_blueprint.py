"""Common behavior of all views (headers, request ids, events), and the blueprint in another application."""

from __future__ import annotations

import re

import pytest
from flask import Flask, Response
from support import fakes
from web.web_app import PHONE, UNKNOWN_ID, WebApp, open_web_app, problem

from otp_service.domain.errors import StoreUnavailable
from otp_service.web import create_blueprint
from otp_service.web.api import request_id

NAMED = {"phone": PHONE, "verification_id": UNKNOWN_ID}

# ── headers ──


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/otp/request"),
        ("GET", "/otp/request"),
        ("GET", "/nowhere"),
        ("GET", "/healthz"),
        ("HEAD", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
    ],
)
def test_every_response_has_security_headers(web_app: WebApp, method: str, path: str) -> None:
    headers = web_app.client.open(path, method=method).headers

    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert not [name for name, _ in headers if name.startswith("Access-Control") or name == "Set-Cookie"]


def test_json_answers_allow_nothing_to_be_loaded(web_app: WebApp) -> None:
    policy = web_app.request().headers["Content-Security-Policy"]

    assert policy == "default-src 'none'; frame-ancestors 'none'"


def test_method_in_lower_case_is_refused(web_app: WebApp) -> None:
    """Some servers pass such a method on, and Flask would serve it."""
    answer = web_app.client.get("/readyz", environ_overrides={"REQUEST_METHOD": "get"})

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")


# ── request ids ──


def test_each_call_has_its_own_id(web_app: WebApp) -> None:
    ids = [web_app.get("/healthz").headers["X-Request-Id"] for _ in range(20)]

    assert len(set(ids)) == 20
    assert all(re.fullmatch(r"req_[A-Za-z0-9_-]{16}", each) for each in ids)


@pytest.mark.parametrize("given", ["1234-567x", "a-b_C" * 4, "x" * 64])
def test_server_may_send_a_request_id(web_app: WebApp, given: str) -> None:
    answer = web_app.post("/otp/status", NAMED, X_Request_Id=given)

    assert answer.headers["X-Request-Id"] == given
    assert problem(answer)["request_id"] == given


@pytest.mark.parametrize(
    "given", ["tel-13800138000", "code123456", "xsk_shop-0123", "x-pk_shop-0123", "1234567x"], ids=str
)
def test_request_id_that_looks_like_a_secret_is_replaced(web_app: WebApp, given: str) -> None:
    answer = web_app.post("/otp/status", NAMED, X_Request_Id=given)

    assert answer.headers["X-Request-Id"].startswith("req_")


def test_request_id_may_be_a_uuid(web_app: WebApp) -> None:
    given = "0a123456-7890-4abc-8def-001234567890"

    assert web_app.post("/otp/status", NAMED, X_Request_Id=given).headers["X-Request-Id"] == given


@pytest.mark.parametrize(
    "given",
    [
        "",
        "1234567",
        "x" * 65,
        "with space",
        "a,b,c,d,e",
        "ünïcödé-id",
        "a" * 8 + "\t",
        "13800138000",
        "sk_shop-01234567",
    ],
)
def test_malformed_request_id_is_replaced(web_app: WebApp, given: str) -> None:
    assert web_app.post("/otp/status", NAMED, X_Request_Id=given).headers["X-Request-Id"] != given


@pytest.mark.parametrize("given", ["abcdefgh\n", "abcdefgh\r\nX-Evil: 1"])
def test_request_id_cannot_contain_a_line_break(given: str) -> None:
    own = request_id.begin()
    request_id.adopt(given)

    assert request_id.current() == own
    request_id.end()


@pytest.mark.parametrize(
    "key", [None, "sk_unknown-0123456789abcdefghijklmno", "nothing", fakes.SHOP_KEY + "x"]
)
def test_request_id_of_a_caller_without_a_secret_key_is_ignored(web_app: WebApp, key: str | None) -> None:
    answer = web_app.post("/otp/status", NAMED, key=key, X_Request_Id="my-own-call")

    assert answer.status_code == 401
    assert answer.headers["X-Request-Id"].startswith("req_")
    assert problem(answer)["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/otp/widget.js"),
        ("GET", f"/otp/pages/{UNKNOWN_ID}"),
        ("POST", f"/otp/pages/{UNKNOWN_ID}"),
        ("GET", "/otp/request"),
        ("GET", "/nowhere"),
    ],
)
def test_request_id_is_ignored_where_no_key_is_needed(web_app: WebApp, method: str, path: str) -> None:
    headers = {"X-Request-Id": "my-own-call", "Authorization": f"Bearer {fakes.SHOP_KEY}"}
    answer = web_app.client.open(path, method=method, headers=headers)

    assert answer.headers["X-Request-Id"].startswith("req_")


def test_request_id_is_available_only_during_a_call() -> None:
    web_app = open_web_app()
    at_work: list[str] = []
    web_app.harness.store.precheck = lambda *_: at_work.append(request_id.current())  # type: ignore[assignment,method-assign]

    answer = web_app.request()

    assert at_work == [answer.headers["X-Request-Id"]]
    assert request_id.current() == ""


# ── events ──


def test_every_call_is_one_event(web_app: WebApp) -> None:
    web_app.request()

    [event] = web_app.harness.events.of("http_request")
    verification_id = web_app.answers[0].get_json()["verification_id"]
    assert event == {
        "endpoint": "request",
        "verification_hash": web_app.harness.keyring.verification_hash(verification_id),
        "status": 201,
        "code": "",
        "client": "shop",
        "phone_hash": web_app.harness.keyring.phone_hash(PHONE),
        "phone_masked": "+86 138****8000",
        "client_ip_hash": "",
        "duration_ms": 0.0,
    }


@pytest.mark.parametrize(
    ("raw", "key", "expected"),
    [
        (b"{}", None, ("verify", 401, "unauthorized", "")),
        (b"{}", fakes.SHOP_KEY, ("verify", 400, "invalid_request", "shop")),
        (b" " * 9000, fakes.SHOP_KEY, ("verify", 413, "payload_too_large", "shop")),
    ],
    ids=["stranger", "malformed", "too large"],
)
def test_rejected_call_is_one_event(
    web_app: WebApp, raw: bytes, key: str | None, expected: tuple[object, ...]
) -> None:
    web_app.send("/otp/verify", raw, key=key)

    [event] = web_app.harness.events.of("http_request")
    assert (event["endpoint"], event["status"], event["code"], event["client"]) == expected


def test_event_of_a_reached_limit_names_it(web_app: WebApp) -> None:
    web_app.request()
    web_app.harness.clock.advance(20)
    web_app.request()

    event = web_app.harness.events.of("http_request")[-1]
    facts = (event["code"], event["limit"], event["retry_after"])
    assert facts == ("cooldown_active", "phone_cooldown", 40)


def test_the_event_says_how_long_it_took(web_app: WebApp) -> None:
    web_app.harness.store.precheck = lambda *_: web_app.harness.clock.advance(0.12345)  # type: ignore[assignment,method-assign]

    web_app.request()

    assert web_app.harness.events.of("http_request")[0]["duration_ms"] == 123.5


def test_an_unknown_address_is_an_event_without_the_address(web_app: WebApp) -> None:
    web_app.get("/otp/13800138000")

    [event] = web_app.harness.events.of("http_request")
    assert (event["endpoint"], event["status"], event["code"]) == ("none", 404, "not_found")
    assert "138" not in repr(event["endpoint"])


def test_successful_probe_is_no_event_and_a_failed_one_is_no_http_request(web_app: WebApp) -> None:
    web_app.get("/healthz")
    web_app.get("/readyz")
    web_app.harness.store.failure = StoreUnavailable()
    web_app.get("/readyz")

    [event] = web_app.harness.events.of("readiness_failed")
    assert (event["endpoint"], event["status"]) == ("readyz", 503)
    assert web_app.harness.events.of("http_request") == []


def test_no_event_of_a_verification_contains_phone_code_or_proof(web_app: WebApp) -> None:
    proof = web_app.proof()
    web_app.post("/otp/redeem", {"proof": proof, "purpose": "login"})
    web_app.verify(UNKNOWN_ID, "odd")

    events = repr(web_app.harness.events.emitted)

    assert "13800138000" not in events
    assert web_app.harness.sender.last_code not in events
    assert proof not in events
    assert fakes.SHOP_KEY not in events


# ── mounted in another application ──


@pytest.fixture
def mounted() -> WebApp:
    web_app = open_web_app(prefix="/auth/v1")

    @web_app.client.application.route("/own")
    def own() -> str:
        raise ValueError("the host's own affair")

    @web_app.client.application.errorhandler(ValueError)
    def host(error: ValueError) -> Response:
        return Response(str(error), 418)

    return web_app


def test_blueprint_works_under_a_prefix(mounted: WebApp) -> None:
    answer = mounted.post("/auth/v1/otp/request", {"phone": PHONE, "purpose": "login"})

    assert answer.status_code == 201
    assert mounted.get("/auth/v1/docs").status_code == 200
    assert mounted.get("/auth/v1/openapi.json").get_json()["servers"] == [{"url": "/auth/v1"}]


def test_errors_of_the_application_are_handled_by_the_application(mounted: WebApp) -> None:
    assert mounted.get("/own").text == "the host's own affair"
    assert mounted.get("/nowhere").content_type == "text/html; charset=utf-8"
    assert "X-Request-Id" not in mounted.get("/own").headers
    assert mounted.harness.events.of("http_request") == []


def test_errors_of_the_blueprint_do_not_reach_the_application(mounted: WebApp) -> None:
    mounted.harness.store.failure = ValueError("boom-SECRET")

    answer = mounted.post("/auth/v1/otp/status", NAMED)

    assert problem(answer)["code"] == "internal_error"


def test_one_application_can_have_two_blueprints() -> None:
    first, second = open_web_app(), open_web_app()
    app = Flask("both", static_folder=None)
    app.register_blueprint(create_blueprint(first.deps), url_prefix="/a", name="a")
    app.register_blueprint(create_blueprint(second.deps), url_prefix="/b", name="b")

    app.test_client().post("/b/otp/status")

    assert first.harness.events.emitted == []
    assert len(second.harness.events.of("http_request")) == 1


def test_routes_are_pinned() -> None:
    web_app = open_web_app()

    rules = {
        (rule.rule, method)
        for rule in web_app.client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
    }

    assert rules == {
        ("/otp/request", "POST"),
        ("/otp/verify", "POST"),
        ("/otp/redeem", "POST"),
        ("/otp/status", "POST"),
        ("/otp/cancel", "POST"),
        ("/otp/unlock", "POST"),
        ("/otp/pages", "POST"),
        *(("/otp/pages/<page_id>", method) for method in ("GET", "POST")),
        *((path, "GET") for path in ("/otp/page.css", "/otp/page.js")),
        *((path, "OPTIONS") for path in ("/otp/request", "/otp/verify", "/otp/status", "/otp/cancel")),
        ("/healthz", "GET"),
        ("/readyz", "GET"),
        ("/openapi.json", "GET"),
        *(
            (path, "GET")
            for path in ("/docs", "/docs/docs.css", "/docs/docs.js", "/docs/redoc.standalone.js")
        ),
        ("/otp/widget.js", "GET"),
    }
