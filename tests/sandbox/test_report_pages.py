from __future__ import annotations

from typing import Any

import pytest


def _reply(caller: Any, **how: Any) -> Any:
    return caller.raw("POST", "/inbox/reply", **how)


def test_reply_from_the_page_redirects_back_to_it(caller: Any) -> None:
    answer = _reply(
        caller, data={"phone": "+86 138-0013-8000", "content": "TD"}, headers={"Origin": caller.url}
    )

    assert answer.status_code == 303
    assert answer.headers["Location"] == "/inbox?phone=%2B8613800138000"


def test_page_has_a_reply_form(caller: Any) -> None:
    caller.v1()

    page = caller.raw("GET", "/inbox").text
    assert 'action="/inbox/reply"' in page
    assert '<input type="hidden" name="phone" value="+8613800138000">' in page


def test_replies_have_sequence_ids(caller: Any) -> None:
    replies = [_reply(caller, json={"phone": "13800138000", "content": "x"}).json() for _ in range(3)]

    assert len({reply["sequence_id"] for reply in replies}) == 3
    assert replies[0]["dest_code"] == "10690000"
    assert not replies[0]["sign_name"]


@pytest.mark.parametrize(
    "body",
    [
        {"phone": "1", "content": "x"},
        {"phone": "13800138000"},
        {"phone": "13800138000", "content": ""},
        {"phone": "13800138000", "content": 1},
        {"phone": "13800138000", "content": "x" * 501},
        {"content": "x"},
        ["x"],
        "x",
    ],
)
def test_malformed_reply_is_refused(caller: Any, body: Any) -> None:
    assert _reply(caller, json=body).status_code == 400


OTHER_ORIGIN = {
    "site": {"Sec-Fetch-Site": "cross-site"},
    "same_site": {"Sec-Fetch-Site": "same-site"},
    "origin": {"Origin": "http://evil.example"},
    "null": {"Origin": "null"},
    "neither": {},
    "empty": {"Sec-Fetch-Site": "", "Origin": ""},
    "cross-site with our origin": {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"},
}


@pytest.mark.parametrize("headers", OTHER_ORIGIN.values(), ids=OTHER_ORIGIN)
@pytest.mark.parametrize("path", ["/inbox/reply", "/inbox/report", "/inbox/clear", "/reports/check"])
def test_page_of_another_origin_cannot_use_the_inbox(caller: Any, headers: dict[str, str], path: str) -> None:
    caller.v1()
    form = {"phone": "13800138000", "content": "x", "err_code": "x"}

    assert caller.raw("POST", path, data=form, headers=headers).status_code == 403
    assert len(caller.inbox()) == 1


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}])
def test_own_page_can_reply(caller: Any, headers: dict[str, str]) -> None:
    form = {"phone": "13800138000", "content": "x"}

    assert _reply(caller, data=form, headers=headers).status_code == 303


def test_programs_can_use_the_inbox_with_json(caller: Any) -> None:
    assert _reply(caller, json={"phone": "13800138000", "content": "x"}).status_code == 201
    assert caller.raw("POST", "/inbox/clear", json={}).status_code == 303


def test_result_of_a_waiting_sms_can_be_set(caller: Any) -> None:
    caller.v1(PhoneNumbers="13800007011")
    (waiting,) = caller.inbox()
    answer = caller.raw("POST", "/inbox/report", json={"phone": "13800007011", "err_code": "IS_CLOSE"})

    (message,) = caller.inbox()
    assert answer.status_code == 201
    assert answer.json() == {"biz_id": message["biz_id"], "err_code": "IS_CLOSE"}
    assert [waiting["delivery"], waiting["err_code"]] == ["waiting", ""]
    assert [message["delivery"], message["err_code"]] == ["undelivered", "IS_CLOSE"]
    assert "undelivered: IS_CLOSE" in caller.raw("GET", "/inbox").text


def test_result_is_set_for_the_right_phone(caller: Any) -> None:
    for phone in ("13800138000", "13900139000"):
        caller.v1(PhoneNumbers=phone)
    caller.raw("POST", "/inbox/report", json={"phone": "13800138000", "err_code": "IS_CLOSE"})

    assert [message["err_code"] for message in caller.inbox()] == ["DELIVERED", "IS_CLOSE"]


def test_result_is_set_only_for_the_last_sms_of_a_phone(caller: Any, clock: Any) -> None:
    caller.v1(PhoneNumbers="13800138000,13900139000")
    clock.advance(minutes=1)
    caller.v1()
    caller.raw("POST", "/inbox/report", json={"phone": "13800138000", "err_code": "IS_CLOSE"})

    assert [message["err_code"] for message in caller.inbox()].count("IS_CLOSE") == 1
    assert caller.inbox()[0]["err_code"] == "IS_CLOSE"


def test_result_of_a_phone_without_an_sms_cannot_be_set(caller: Any) -> None:
    answer = caller.raw("POST", "/inbox/report", json={"phone": "13800138000", "err_code": "x"})

    assert answer.status_code == 404
