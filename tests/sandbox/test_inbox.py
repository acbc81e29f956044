from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from otp_service.sandbox import SandboxConfig, create_sandbox
from otp_service.sandbox.inbox.messages import Inbox, Message

HOSTILE = '<script>alert("1")</script>'
MESSAGE = Message(
    phone="+8613800138000",
    sign_name="云通信测试",
    template_code="SMS_1",
    text="text",
    code="123456",
    out_id="out",
    biz_id="1^0",
    received_at=datetime(2026, 11, 23, 8, 7, 41, tzinfo=UTC),
    err_code="DELIVERED",
    report_at=datetime(2026, 11, 23, 8, 7, 41, tzinfo=UTC),
)


def test_inbox_keeps_the_newest() -> None:
    inbox = Inbox(2)
    inbox.add([replace(MESSAGE, code=code) for code in ("1111", "2222", "3333")])

    assert [message.code for message in inbox.newest_first()] == ["3333", "2222"]


def test_inbox_lists_one_phone() -> None:
    inbox = Inbox(9)
    inbox.add([MESSAGE, replace(MESSAGE, phone="+8613900139000")])

    assert inbox.newest_first("+8613800138000") == [MESSAGE]
    assert inbox.newest_first("+8610000000000") == []


@pytest.mark.parametrize(
    "query",
    [
        "?phone=%2B8613800138000",
        "?phone=+8613800138000",
        "?phone=8613800138000",
        "?phone=008613800138000",
        "?phone=13800138000",
        "?phone=%2B86%20138-0013-8000",
    ],
)
def test_json_is_filtered_by_a_number_in_any_format(caller: Any, query: str) -> None:
    caller.v1(PhoneNumbers="13800138000,13900139000")

    assert [message["phone"] for message in caller.inbox(query)] == ["+8613800138000"]


@pytest.mark.parametrize(
    ("query", "count"), [("", 2), ("?phone=", 2), ("?phone=13700137000", 0), ("?phone=x", 0)]
)
def test_json_shows_all_messages_or_none(caller: Any, query: str, count: int) -> None:
    caller.v1(PhoneNumbers="13800138000,13900139000")

    assert len(caller.inbox(query)) == count


def test_json_is_newest_first(caller: Any, clock: Any) -> None:
    for code in ("111111", "222222", "333333"):
        caller.v1(TemplateParam=f'{{"code":"{code}"}}')
        clock.advance(minutes=1)

    assert [message["code"] for message in caller.inbox()] == ["333333", "222222", "111111"]


def test_page_shows_code_text_and_filter(caller: Any) -> None:
    caller.v1()

    page = caller.raw("GET", "/inbox?phone=13800138000").text
    assert "<code>123456</code>" in page
    assert "【云通信测试】您正在登录，验证码123456，" in page
    assert 'value="13800138000"' in page


def test_page_of_another_phone_shows_nothing(caller: Any) -> None:
    caller.v1()

    page = caller.raw("GET", "/inbox?phone=13900139000").text
    assert "No messages for 13900139000 yet." in page
    assert "123456" not in page


def test_page_escapes_everything() -> None:
    config = replace(
        SandboxConfig.default({"testId": "testSecret"}),
        sign_names=frozenset({HOSTILE}),
        templates={HOSTILE: HOSTILE + "${code}"},
    )
    app = create_sandbox(config)
    inbox = app.extensions["sandbox"].inbox
    hostile = dict.fromkeys(
        ("sign_name", "template_code", "text", "code", "out_id", "biz_id", "phone"), HOSTILE
    )
    inbox.add([replace(MESSAGE, **hostile)])

    shown = app.test_client().get("/inbox").text
    filtered = app.test_client().get("/inbox", query_string={"phone": HOSTILE}).text
    assert HOSTILE not in shown + filtered
    assert 'alert("' not in shown + filtered
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;" in shown


def test_page_loads_nothing_from_other_origins(caller: Any) -> None:
    answer = caller.raw("GET", "/inbox")

    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "'unsafe-" not in answer.headers["Content-Security-Policy"]
    assert "http" not in answer.text
    assert " style=" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["inbox.css", "inbox.js", "icon.svg"])
def test_asset_is_served(caller: Any, name: str) -> None:
    answer = caller.raw("GET", f"/inbox/static/{name}")

    assert answer.status_code == 200
    assert f"/inbox/static/{name}" in caller.raw("GET", "/inbox").text


def test_inbox_can_be_cleared(caller: Any) -> None:
    caller.v1()
    answer = caller.raw("POST", "/inbox/clear", json={})

    assert (answer.status_code, answer.headers["Location"]) == (303, "/inbox")
    assert caller.inbox() == []


def test_inbox_is_not_cleared_by_a_link(caller: Any) -> None:
    assert caller.raw("GET", "/inbox/clear").status_code == 405
