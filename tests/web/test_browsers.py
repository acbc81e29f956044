"""Calls from browsers: publishable keys, their origins, and what a page of another site may read."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import fakeredis
import pytest
from support import fakes
from support.service_on_redis import StagedRunner, Timeline
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


def ask(
    web_app: WebApp, path: str = "/otp/request", origin: str | None = PAGE, key: str = KEY, **body: Any
) -> Any:
    told = {"phone": PHONE, "purpose": "login", **body} if path == "/otp/request" else body
    headers = {} if origin is None else {"Origin": origin}
    return web_app.post(path, told, key=key, **headers)


def test_whole_way_from_a_page(web_app: WebApp) -> None:
    opened = ask(web_app)
    vid = {"phone": PHONE, "verification_id": opened.get_json()["verification_id"]}
    status = ask(web_app, "/otp/status", **vid)
    verified = ask(web_app, "/otp/verify", **vid, code=web_app.harness.sender.last_code)

    assert (opened.status_code, status.status_code, verified.status_code) == (201, 200, 200)
    assert verified.get_json()["proof"]
    for answer in (opened, status, verified):
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert answer.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_status_of_a_browser_shows_no_sends(web_app: WebApp) -> None:
    vid = {"phone": PHONE, "verification_id": ask(web_app).get_json()["verification_id"]}
    reduced, whole = (
        ask(web_app, "/otp/status", **vid).get_json(),
        web_app.post("/otp/status", vid).get_json(),
    )

    assert reduced.pop("sends") is None
    assert whole.pop("sends")
    assert reduced == whole


STEPS = ("request", "replayed request", "status", "resend", "replayed resend")


def numbers_told(*, is_busy: bool) -> dict[str, dict[str, tuple[int, int | None]]]:
    """Return `sends_left` and `resend_in` of each step, as a page and as a server is told them.

    Strangers have asked for SMS to a busy phone before.
    """
    redis = fakeredis.FakeRedis()
    store = RedisStore(redis, fakes.FakeEvents(), shebang=False)
    harness = fakes.harness(SHOP, store=store)
    store.redis.scripts = runner = StagedRunner(redis, shebang=False)
    time, web_app = Timeline(runner, harness.clock), open_web_app(harness)
    time.pass_time(0)  # the store's clock tells what the service's does
    for _ in range(2 if is_busy else 0):
        assert web_app.request().status_code == 201
        time.pass_time(120)
    told: dict[str, dict[str, tuple[int, int | None]]] = {"page": {}, "server": {}}
    named: dict[str, Any] = {}

    def note(step: str, answer: Any) -> None:
        """Note what a page was told, and what a server is at the same moment."""
        body = answer.get_json()
        assert answer.status_code in (200, 201), body
        named.update(phone=PHONE, verification_id=body["verification_id"])
        for whose, facts in {"page": body, "server": web_app.post("/otp/status", named).get_json()}.items():
            told[whose][step] = facts["sends_left"], facts["resend_in"]

    once, again = ({"Origin": PAGE, "Idempotency_Key": f"a-key-of-a-page-{n}"} for n in (1, 2))
    opening = {"phone": PHONE, "purpose": "login"}
    note("request", web_app.post("/otp/request", opening, key=KEY, **once))
    note("replayed request", web_app.post("/otp/request", opening, key=KEY, **once))
    note("status", ask(web_app, "/otp/status", **named))
    time.pass_time(120)
    note("resend", web_app.post("/otp/request", named, key=KEY, **again))
    note("replayed resend", web_app.post("/otp/request", named, key=KEY, **again))
    return told


@pytest.fixture(scope="module")
def numbers() -> dict[str, dict[str, dict[str, tuple[int, int | None]]]]:
    return {"busy": numbers_told(is_busy=True), "fresh": numbers_told(is_busy=False)}


@pytest.mark.parametrize("step", STEPS)
def test_a41_a_browser_is_told_the_numbers_of_its_own_verification_only(
    numbers: dict[str, dict[str, dict[str, tuple[int, int | None]]]], step: str
) -> None:
    busy, fresh = numbers["busy"], numbers["fresh"]

    assert busy["page"][step] == fresh["page"][step]
    assert busy["server"][step] != fresh["server"][step]


@pytest.mark.parametrize("path", CLOSED)
def test_browsers_have_no_business_there(web_app: WebApp, path: str) -> None:
    body = {
        "/otp/redeem": {"proof": "p", "purpose": "login"},
        "/otp/unlock": {"phone": PHONE},
        "/otp/pages": {"return_url": PAGE, "purpose": "login"},
    }[path]

    assert problem(ask(web_app, path, **body))["code"] == "forbidden"
    assert web_app.harness.store.calls == []


def test_every_call_is_open_or_closed_to_browsers_here() -> None:
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
def test_fields_of_servers_are_refused(web_app: WebApp, field: dict[str, Any]) -> None:
    assert problem(ask(web_app, **field))["code"] == "forbidden"
    assert web_app.harness.sender.sent == []


@pytest.mark.parametrize("origin", [*TRICKS, None, OTHER_PAGE])
def test_key_works_on_its_own_pages_only(web_app: WebApp, origin: str | None) -> None:
    answer = ask(web_app, origin=origin)

    assert problem(answer)["code"] == "forbidden"
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Vary"] == "Origin"
    assert web_app.harness.sender.sent == []


def test_servers_need_no_origin_and_forged_ones_change_nothing(web_app: WebApp) -> None:
    body = {"phone": PHONE, "purpose": "login"}

    assert web_app.post("/otp/request", body, Origin="https://evil.example").status_code == 201


def test_unknown_publishable_key_is_unauthorized_and_readable(web_app: WebApp) -> None:
    answer = ask(web_app, key="pk_nobody-0123456789abcdefghijkl")

    assert problem(answer)["code"] == "unauthorized"
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE


def test_problems_can_be_read_by_the_page(web_app: WebApp) -> None:
    ask(web_app)
    answer = ask(web_app)

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
def test_every_problem_of_the_open_calls_can_be_read(
    web_app: WebApp, path: str, raw: bytes, media_type: str, code: str
) -> None:
    answer = web_app.send(path, raw, key=KEY, media_type=media_type, Origin=PAGE)

    assert problem(answer)["code"] == code
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE


@pytest.mark.parametrize("path", OPEN)
def test_answer_to_a_secret_key_is_for_no_page(web_app: WebApp, path: str) -> None:
    """Not even for the client's own: a page that holds a secret key must not seem to work."""
    answer = web_app.post(path, {}, Origin=PAGE)

    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("path", CLOSED)
def test_calls_of_servers_are_for_no_page(web_app: WebApp, path: str) -> None:
    for key in (KEY, fakes.SHOP_KEY):
        answer = web_app.post(path, {}, key=key, Origin=PAGE)

        assert [name for name, _ in answer.headers if name.startswith("Access-Control")] == []


def test_text_plain_escapes_no_preflight(web_app: WebApp) -> None:
    raw = b'{"phone": "+8613800138000", "purpose": "login"}'
    answer = web_app.send("/otp/request", raw, key=KEY, media_type="text/plain", Origin=PAGE)

    assert problem(answer)["code"] == "unsupported_media_type"
    assert web_app.harness.sender.sent == []


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("origin", [PAGE, "http://localhost:3000", OTHER_PAGE])
def test_preflight_lets_known_pages_call(web_app: WebApp, path: str, origin: str) -> None:
    answer = web_app.client.options(path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})

    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Access-Control-Allow-Methods"] == "POST"
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization, content-type, idempotency-key"
    assert answer.headers["Access-Control-Max-Age"] == "600"
    assert answer.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", TRICKS)
def test_preflight_lets_nobody_else_call(web_app: WebApp, origin: str) -> None:
    answer = web_app.client.options("/otp/request", headers={"Origin": origin})

    assert answer.status_code == 204
    assert [name for name, _ in answer.headers if name.startswith("Access-Control")] == []
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("path", [*OPEN, *CLOSED])
def test_browser_brings_no_id_to_answers_problems_or_log_lines(
    web_app: WebApp, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    output = io.BytesIO()
    lines = JsonEventLogger(output, clock=web_app.harness.clock.now, request_id=request_id.current)
    monkeypatch.setattr(web_app.harness.events, "emit", lines.emit)
    given = {"Origin": PAGE, "X_Request_Id": "the-banks-own-call"}

    answer = web_app.post(path, {"phone": PHONE, "purpose": "login"}, key=KEY, **given)

    told = {json.loads(line)["request_id"] for line in output.getvalue().splitlines()}
    assert told == {answer.headers["X-Request-Id"]}
    assert answer.headers["X-Request-Id"].startswith("req_")
    assert "the-banks-own-call" not in answer.text


def test_preflight_has_an_id_of_its_own_and_is_no_event(web_app: WebApp) -> None:
    one, other = (web_app.client.options("/otp/verify", headers={"Origin": PAGE}) for _ in range(2))

    assert one.headers["X-Request-Id"].startswith("req_")
    assert one.headers["X-Request-Id"] != other.headers["X-Request-Id"]
    assert web_app.harness.events.of("http_request") == []


@pytest.mark.parametrize("path", CLOSED)
def test_calls_of_servers_have_no_preflight(web_app: WebApp, path: str) -> None:
    assert web_app.client.options(path, headers={"Origin": PAGE}).status_code == 405


def test_address_of_a_browser_is_that_of_its_connection(web_app: WebApp) -> None:
    ask(web_app)
    seen = web_app.harness.store.slots[-1].ip_hash
    web_app.post("/otp/request", {"phone": "+8613900139000", "purpose": "login", "client_ip": "127.0.0.1"})

    assert seen
    assert seen == web_app.harness.store.slots[-1].ip_hash


def test_address_of_a_browser_is_counted_at_its_attempts_too(web_app: WebApp) -> None:
    vid = {"phone": PHONE, "verification_id": ask(web_app).get_json()["verification_id"]}
    ask(web_app, "/otp/verify", **vid, code="000000")
    ask(web_app, "/otp/request", verification_id=vid["verification_id"], purpose=None)

    assert len({slot.ip_hash for slot in web_app.harness.store.slots}) == 1
    assert web_app.harness.store.slots[0].ip_hash


def test_one_call_leaves_no_client_behind_for_the_next(web_app: WebApp) -> None:
    ask(web_app)
    answer = ask(web_app, origin=OTHER_PAGE, key="pk_nobody-0123456789abcdefghijkl")

    assert answer.headers["Access-Control-Allow-Origin"] == OTHER_PAGE
