"""Calls from browsers: publishable keys, their origins, and what a page of another site may read."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import fakeredis
import pytest
from support import fakes
from support.events import RecordingEvents
from support.service_on_redis import SettableClockRunner, Timeline
from web.web_app import PHONE, WebApp, open_web_app, problem

from otp_service.observability.logging import JsonEventLogger
from otp_service.store.verifications import RedisStore
from otp_service.web.api import request_id
from otp_service.web.api.routes import ENDPOINTS

KEY = "pk_shop-0123456789abcdefghijklmnop"
PAGE, OTHER_PAGE = "https://www.shop.example", "https://www.bank.example"
SHOP = replace(fakes.SHOP, publishable_key=KEY, origins=frozenset({PAGE, "http://localhost:3000"}))
BANK = replace(
    fakes.BANK, publishable_key="pk_bank-0123456789abcdefghijklmnop", origins=frozenset({OTHER_PAGE})
)
OPEN = ["/otp/request", "/otp/verify", "/otp/status", "/otp/cancel"]
CLOSED = ["/otp/redeem", "/otp/unlock", "/otp/pages"]
TRICKS = [
    "https://www.shop.example.evil",
    "https://evil.www.shop.example",
    "https://www.shop.example:443",
    "https://www.shop.example:444",
    "https://www.shop.example/",
    "http://www.shop.example",
    "https://WWW.SHOP.EXAMPLE",
    "https://www.shop.exampl",
    "https://shop.example",
    "null",
    "*",
    "",
    "file://",
]


@pytest.fixture
def web_app() -> WebApp:
    return open_web_app(fakes.harness(SHOP, BANK))


def call_from_page(
    web_app: WebApp, path: str = "/otp/request", origin: str | None = PAGE, key: str = KEY, **body: Any
) -> Any:
    sent = {"phone": PHONE, "purpose": "login", **body} if path == "/otp/request" else body
    headers = {} if origin is None else {"Origin": origin}
    return web_app.post(path, sent, key=key, **headers)


def test_complete_verification_from_a_page(web_app: WebApp) -> None:
    response = call_from_page(web_app)
    vid = {"phone": PHONE, "verification_id": response.get_json()["verification_id"]}
    status = call_from_page(web_app, "/otp/status", **vid)
    verified = call_from_page(web_app, "/otp/verify", **vid, code=web_app.harness.sender.last_code)

    assert (response.status_code, status.status_code, verified.status_code) == (201, 200, 200)
    assert verified.get_json()["proof"]
    for answer in (response, status, verified):
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert answer.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_status_of_a_browser_shows_no_sends(web_app: WebApp) -> None:
    vid = {"phone": PHONE, "verification_id": call_from_page(web_app).get_json()["verification_id"]}
    reduced, whole = (
        call_from_page(web_app, "/otp/status", **vid).get_json(),
        web_app.post("/otp/status", vid).get_json(),
    )

    assert reduced.pop("sends") is None
    assert whole.pop("sends")
    assert reduced == whole


STEPS = ("request", "replayed request", "status", "resend", "replayed resend")


def numbers_seen(*, is_busy: bool) -> dict[str, dict[str, tuple[int, int | None]]]:
    """Return `sends_left` and `resend_in` of each step, as a page and a server get them.

    A busy phone has had SMS requested by strangers before.
    """
    redis = fakeredis.FakeRedis()
    store = RedisStore(redis, RecordingEvents(), shebang=False)
    harness = fakes.harness(SHOP, store=store)
    store.redis.scripts = runner = SettableClockRunner(redis, shebang=False)
    time, web_app = Timeline(runner, harness.clock), open_web_app(harness)
    time.pass_time(0)  # sets the store's clock to that of the service
    for _ in range(2 if is_busy else 0):
        assert web_app.request().status_code == 201
        time.pass_time(120)
    numbers: dict[str, dict[str, tuple[int, int | None]]] = {"page": {}, "server": {}}
    named: dict[str, Any] = {}

    def note(step: str, answer: Any) -> None:
        """Record what a page got, and what a server gets at the same moment."""
        body = answer.get_json()
        assert answer.status_code in (200, 201), body
        named.update(phone=PHONE, verification_id=body["verification_id"])
        for whose, facts in {"page": body, "server": web_app.post("/otp/status", named).get_json()}.items():
            numbers[whose][step] = facts["sends_left"], facts["resend_in"]

    once, again = ({"Origin": PAGE, "Idempotency_Key": f"a-key-of-a-page-{n}"} for n in (1, 2))
    opening = {"phone": PHONE, "purpose": "login"}
    note("request", web_app.post("/otp/request", opening, key=KEY, **once))
    note("replayed request", web_app.post("/otp/request", opening, key=KEY, **once))
    note("status", call_from_page(web_app, "/otp/status", **named))
    time.pass_time(120)
    note("resend", web_app.post("/otp/request", named, key=KEY, **again))
    note("replayed resend", web_app.post("/otp/request", named, key=KEY, **again))
    return numbers


@pytest.fixture(scope="module")
def numbers() -> dict[str, dict[str, dict[str, tuple[int, int | None]]]]:
    return {"busy": numbers_seen(is_busy=True), "fresh": numbers_seen(is_busy=False)}


@pytest.mark.parametrize("step", STEPS)
def test_a41_browser_gets_the_numbers_of_its_own_verification_only(
    numbers: dict[str, dict[str, dict[str, tuple[int, int | None]]]], step: str
) -> None:
    busy, fresh = numbers["busy"], numbers["fresh"]

    assert busy["page"][step] == fresh["page"][step]
    assert busy["server"][step] != fresh["server"][step]


@pytest.mark.parametrize("path", CLOSED)
def test_browser_cannot_make_server_calls(web_app: WebApp, path: str) -> None:
    body = {
        "/otp/redeem": {"proof": "p", "purpose": "login"},
        "/otp/unlock": {"phone": PHONE},
        "/otp/pages": {"return_url": PAGE, "purpose": "login"},
    }[path]

    assert problem(call_from_page(web_app, path, **body))["code"] == "forbidden"
    assert web_app.harness.store.calls == []


def test_every_call_is_in_one_of_the_two_lists() -> None:
    assert {call.path for call in ENDPOINTS} == {*OPEN, *CLOSED}


@pytest.mark.parametrize(
    "field",
    [
        {"client_ip": "203.0.113.7"},
        {"known_phone": True},
        {"known_device": True},
        {"accepts_challenge": True},
    ],
)
def test_server_fields_are_rejected(web_app: WebApp, field: dict[str, Any]) -> None:
    assert problem(call_from_page(web_app, **field))["code"] == "forbidden"
    assert web_app.harness.sender.sent == []


@pytest.mark.parametrize("origin", [*TRICKS, None, OTHER_PAGE])
def test_key_works_only_on_pages_of_its_origins(web_app: WebApp, origin: str | None) -> None:
    answer = call_from_page(web_app, origin=origin)

    assert problem(answer)["code"] == "forbidden"
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Vary"] == "Origin"
    assert web_app.harness.sender.sent == []


def test_server_needs_no_origin_and_a_forged_one_has_no_effect(web_app: WebApp) -> None:
    body = {"phone": PHONE, "purpose": "login"}

    assert web_app.post("/otp/request", body, Origin="https://evil.example").status_code == 201


def test_unknown_publishable_key_is_unauthorized_and_readable(web_app: WebApp) -> None:
    answer = call_from_page(web_app, key="pk_unknown-0123456789abcdefghijk")

    assert problem(answer)["code"] == "unauthorized"
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE


def test_problems_can_be_read_by_the_page(web_app: WebApp) -> None:
    call_from_page(web_app)
    answer = call_from_page(web_app)

    assert problem(answer)["code"] == "cooldown_active"
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Access-Control-Expose-Headers"].split(", ") == [
        "retry-after",
        "x-request-id",
        "idempotency-replayed",
    ]


@pytest.mark.parametrize(
    ("raw", "media_type", "code"),
    [
        (b"{", "application/json", "invalid_request"),
        (b"{}", "text/plain", "unsupported_media_type"),
        (b" " * 9000, "application/json", "payload_too_large"),
    ],
    ids=["no json", "no media type", "too large"],
)
@pytest.mark.parametrize("path", OPEN)
def test_page_can_read_every_problem_of_its_calls(
    web_app: WebApp, path: str, raw: bytes, media_type: str, code: str
) -> None:
    answer = web_app.send(path, raw, key=KEY, media_type=media_type, Origin=PAGE)

    assert problem(answer)["code"] == code
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE


@pytest.mark.parametrize("path", OPEN)
def test_answer_to_a_secret_key_allows_no_origin(web_app: WebApp, path: str) -> None:
    """Not even the client's own origins: a page that contains a secret key must not work."""
    answer = web_app.post(path, {}, Origin=PAGE)

    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("path", CLOSED)
def test_server_calls_allow_no_origin(web_app: WebApp, path: str) -> None:
    for key in (KEY, fakes.SHOP_KEY):
        answer = web_app.post(path, {}, key=key, Origin=PAGE)

        assert [name for name, _ in answer.headers if name.startswith("Access-Control")] == []


def test_text_plain_does_not_avoid_the_preflight(web_app: WebApp) -> None:
    raw = b'{"phone": "+8613800138000", "purpose": "login"}'
    answer = web_app.send("/otp/request", raw, key=KEY, media_type="text/plain", Origin=PAGE)

    assert problem(answer)["code"] == "unsupported_media_type"
    assert web_app.harness.sender.sent == []


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("origin", [PAGE, "http://localhost:3000", OTHER_PAGE])
def test_preflight_allows_known_origins(web_app: WebApp, path: str, origin: str) -> None:
    answer = web_app.client.options(path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})

    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Access-Control-Allow-Methods"] == "POST"
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization, content-type, idempotency-key"
    assert answer.headers["Access-Control-Max-Age"] == "600"
    assert answer.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", TRICKS)
def test_preflight_rejects_other_origins(web_app: WebApp, origin: str) -> None:
    answer = web_app.client.options("/otp/request", headers={"Origin": origin})

    assert answer.status_code == 204
    assert [name for name, _ in answer.headers if name.startswith("Access-Control")] == []
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("path", [*OPEN, *CLOSED])
def test_request_id_of_a_browser_is_ignored_everywhere(
    web_app: WebApp, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    output = io.BytesIO()
    lines = JsonEventLogger(output, clock=web_app.harness.clock.now, request_id=request_id.current)
    monkeypatch.setattr(web_app.harness.events, "emit", lines.emit)
    given = {"Origin": PAGE, "X_Request_Id": "the-banks-own-call"}

    answer = web_app.post(path, {"phone": PHONE, "purpose": "login"}, key=KEY, **given)

    logged_ids = {json.loads(line)["request_id"] for line in output.getvalue().splitlines()}
    assert logged_ids == {answer.headers["X-Request-Id"]}
    assert answer.headers["X-Request-Id"].startswith("req_")
    assert "the-banks-own-call" not in answer.text


def test_preflight_has_its_own_id_and_is_no_event(web_app: WebApp) -> None:
    one, other = (web_app.client.options("/otp/verify", headers={"Origin": PAGE}) for _ in range(2))

    assert one.headers["X-Request-Id"].startswith("req_")
    assert one.headers["X-Request-Id"] != other.headers["X-Request-Id"]
    assert web_app.harness.events.of("http_request") == []


@pytest.mark.parametrize("path", CLOSED)
def test_server_calls_have_no_preflight(web_app: WebApp, path: str) -> None:
    assert web_app.client.options(path, headers={"Origin": PAGE}).status_code == 405


def test_address_of_a_browser_is_its_connections(web_app: WebApp) -> None:
    call_from_page(web_app)
    seen = web_app.harness.store.phone_keys[-1].ip_hash
    web_app.post("/otp/request", {"phone": "+8613900139000", "purpose": "login", "client_ip": "127.0.0.1"})

    assert seen
    assert seen == web_app.harness.store.phone_keys[-1].ip_hash


def test_attempts_of_a_browser_are_counted_by_its_address(web_app: WebApp) -> None:
    vid = {"phone": PHONE, "verification_id": call_from_page(web_app).get_json()["verification_id"]}
    call_from_page(web_app, "/otp/verify", **vid, code="000000")
    call_from_page(web_app, "/otp/request", verification_id=vid["verification_id"], purpose=None)

    assert len({phone_key.ip_hash for phone_key in web_app.harness.store.phone_keys}) == 1
    assert web_app.harness.store.phone_keys[0].ip_hash


def test_client_of_a_call_is_not_used_for_the_next(web_app: WebApp) -> None:
    call_from_page(web_app)
    answer = call_from_page(web_app, origin=OTHER_PAGE, key="pk_unknown-0123456789abcdefghijk")

    assert answer.headers["Access-Control-Allow-Origin"] == OTHER_PAGE
