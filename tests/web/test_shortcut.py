"""The shortcut: nobody can tell which way a call has taken."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse

import fakes
import pytest
from web.desk import PHONE, UNKNOWN_ID, Desk, open_desk
from werkzeug.test import Client, TestResponse

from otp_service.web import Shortcut

KEY = {"Authorization": f"Bearer {fakes.SHOP_KEY}"}
VERIFY = {"phone": PHONE, "verification_id": UNKNOWN_ID, "code": "123456"}

REQUESTS: dict[str, dict[str, Any]] = {
    "a request": {"path": "/otp/request", "json": {"phone": PHONE, "purpose": "login"}, "headers": KEY},
    "a verify": {"path": "/otp/verify", "json": VERIFY, "headers": KEY},
    "an id of its own": {
        "path": "/otp/verify",
        "json": VERIFY,
        "headers": {**KEY, "X-Request-Id": "mine-alone-1"},
    },
    "no key": {"path": "/otp/verify", "json": VERIFY},
    "a page nobody knows": {
        "path": "/otp/verify",
        "json": VERIFY,
        "headers": {**KEY, "Origin": "https://evil.example"},
    },
    "an unknown field": {"path": "/otp/verify", "json": {**VERIFY, "pin": "1"}, "headers": KEY},
    "no JSON": {"path": "/otp/request", "data": b"{", "headers": KEY, "content_type": "application/json"},
    "a form": {"path": "/otp/request", "data": {"phone": PHONE}, "headers": KEY},
    "too long": {"path": "/otp/verify", "json": {"code": "1" * 9000}, "headers": KEY},
    "a query": {"path": "/otp/verify", "json": VERIFY, "headers": KEY, "query_string": {"a": "b"}},
    "another method": {"path": "/otp/verify", "method": "GET"},
    "no body wanted": {"path": "/otp/verify", "method": "HEAD"},
    "a preflight": {"path": "/otp/verify", "method": "OPTIONS"},
    "another call": {"path": "/otp/status", "json": {"phone": PHONE, "verification_id": UNKNOWN_ID}},
    "nowhere": {"path": "/otp/verify/", "json": VERIFY, "headers": KEY},
    "two slashes": {"path": "//otp/verify", "json": VERIFY, "headers": KEY},
}


def told(answer: TestResponse) -> tuple[int, object, dict[str, str]]:
    """Return all of *answer* but what is different in every call."""
    body = json.loads(answer.text) if answer.text else None
    if isinstance(body, dict):
        body = {name: body[name] for name in body if name not in ("request_id", "verification_id")}
    fields = dict(answer.headers)
    if not answer.headers.get("X-Request-Id", "").startswith("mine"):
        del fields["X-Request-Id"]
    return answer.status_code, body, fields


@pytest.mark.parametrize("asked", REQUESTS.values(), ids=REQUESTS.keys())
def test_both_ways_lead_to_the_same_answer(asked: dict[str, Any]) -> None:
    one, other = open_desk(), open_desk()
    request = {"method": "POST", **asked}

    short = Client(Shortcut(one.client.application, one.parts)).open(**request)

    assert told(short) == told(other.client.open(**request))


def test_the_calls_of_every_login_take_it(desk: Desk) -> None:
    def ordinary(_: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response("299 Ordinary", [])
        return []

    client = Client(Shortcut(ordinary, desk.parts))
    answers = [
        client.post(f"/otp/{call}", json=VERIFY, headers=KEY).status_code
        for call in ("request", "verify", "redeem", "status")
    ]

    assert [status == 299 for status in answers] == [False, False, True, True]
