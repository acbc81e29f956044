"""Calls from browsers: publishable keys, their origins, and what a page of another site may read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import fakes
import pytest
from web.desk import PHONE, Desk, open_desk, problem

from otp_service.web.calls import CALLS

KEY = "pk_shop-0123456789abcdefghijklmnop"
PAGE, OTHER_PAGE = "https://www.shop.example", "https://www.bank.example"
SHOP = replace(fakes.SHOP, publishable_key=KEY, origins=frozenset({PAGE, "http://localhost:3000"}))
BANK = replace(
    fakes.BANK, publishable_key="pk_bank-0123456789abcdefghijklmnop", origins=frozenset({OTHER_PAGE})
)
OPEN = ["/otp/request", "/otp/verify", "/otp/status", "/otp/cancel"]
CLOSED = ["/otp/redeem", "/otp/unlock"]
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
def desk() -> Desk:
    return open_desk(fakes.house(SHOP, BANK))


def ask(
    desk: Desk, path: str = "/otp/request", origin: str | None = PAGE, key: str = KEY, **body: Any
) -> Any:
    told = {"phone": PHONE, "purpose": "login", **body} if path == "/otp/request" else body
    headers = {} if origin is None else {"Origin": origin}
    return desk.post(path, told, key=key, **headers)


def test_whole_way_from_a_page(desk: Desk) -> None:
    opened = ask(desk)
    vid = {"phone": PHONE, "verification_id": opened.get_json()["verification_id"]}
    status = ask(desk, "/otp/status", **vid)
    verified = ask(desk, "/otp/verify", **vid, code=desk.house.sender.last_code)

    assert (opened.status_code, status.status_code, verified.status_code) == (201, 200, 200)
    assert verified.get_json()["proof"]
    for answer in (opened, status, verified):
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert answer.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_status_of_a_browser_shows_no_sends(desk: Desk) -> None:
    vid = {"phone": PHONE, "verification_id": ask(desk).get_json()["verification_id"]}
    reduced, whole = ask(desk, "/otp/status", **vid).get_json(), desk.post("/otp/status", vid).get_json()

    assert reduced.pop("sends") is None
    assert whole.pop("sends")
    assert reduced == whole


@pytest.mark.parametrize("path", CLOSED)
def test_browsers_have_no_business_there(desk: Desk, path: str) -> None:
    body = {"/otp/redeem": {"proof": "p", "purpose": "login"}, "/otp/unlock": {"phone": PHONE}}[path]

    assert problem(ask(desk, path, **body))["code"] == "forbidden"
    assert desk.house.store.calls == []


def test_every_call_is_open_or_closed_to_browsers_here() -> None:
    assert {call.path for call in CALLS} == {*OPEN, *CLOSED}


@pytest.mark.parametrize("field", [{"client_ip": "203.0.113.7"}, {"known_phone": True}])
def test_fields_of_servers_are_refused(desk: Desk, field: dict[str, Any]) -> None:
    assert problem(ask(desk, **field))["code"] == "forbidden"
    assert desk.house.sender.sent == []


@pytest.mark.parametrize("origin", [*TRICKS, None, OTHER_PAGE])
def test_key_works_on_its_own_pages_only(desk: Desk, origin: str | None) -> None:
    answer = ask(desk, origin=origin)

    assert problem(answer)["code"] == "forbidden"
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Vary"] == "Origin"
    assert desk.house.sender.sent == []


def test_servers_need_no_origin_and_forged_ones_change_nothing(desk: Desk) -> None:
    body = {"phone": PHONE, "purpose": "login"}

    assert desk.post("/otp/request", body, Origin="https://evil.example").status_code == 201


def test_unknown_publishable_key_is_unauthorized_and_readable(desk: Desk) -> None:
    answer = ask(desk, key="pk_nobody-0123456789abcdefghijkl")

    assert problem(answer)["code"] == "unauthorized"
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE


def test_problems_can_be_read_by_the_page(desk: Desk) -> None:
    ask(desk)
    answer = ask(desk)

    assert problem(answer)["code"] == "cooldown_active"
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


def test_text_plain_escapes_no_preflight(desk: Desk) -> None:
    raw = b'{"phone": "+8613800138000", "purpose": "login"}'
    answer = desk.send("/otp/request", raw, key=KEY, media_type="text/plain", Origin=PAGE)

    assert problem(answer)["code"] == "unsupported_media_type"
    assert desk.house.sender.sent == []


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("origin", [PAGE, "http://localhost:3000", OTHER_PAGE])
def test_preflight_lets_known_pages_call(desk: Desk, path: str, origin: str) -> None:
    answer = desk.client.options(path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})

    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Access-Control-Allow-Methods"] == "POST"
    assert {"authorization", "content-type", "idempotency-key"} <= {
        name.strip().lower() for name in answer.headers["Access-Control-Allow-Headers"].split(",")
    }
    assert answer.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", TRICKS)
def test_preflight_lets_nobody_else_call(desk: Desk, origin: str) -> None:
    answer = desk.client.options("/otp/request", headers={"Origin": origin})

    assert answer.status_code == 204
    assert [name for name, _ in answer.headers if name.startswith("Access-Control")] == []
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("path", CLOSED)
def test_calls_of_servers_have_no_preflight(desk: Desk, path: str) -> None:
    assert desk.client.options(path, headers={"Origin": PAGE}).status_code == 405


def test_address_of_a_browser_is_that_of_its_connection(desk: Desk) -> None:
    ask(desk)
    seen = desk.house.store.slots[-1].requester
    desk.post("/otp/request", {"phone": "+8613900139000", "purpose": "login", "client_ip": "127.0.0.1"})

    assert seen
    assert seen == desk.house.store.slots[-1].requester


def test_one_call_leaves_no_client_behind_for_the_next(desk: Desk) -> None:
    ask(desk)
    answer = ask(desk, origin=OTHER_PAGE, key="pk_nobody-0123456789abcdefghijkl")

    assert answer.headers["Access-Control-Allow-Origin"] == OTHER_PAGE
