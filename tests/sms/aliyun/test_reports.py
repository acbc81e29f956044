"""Parsing of the reports and inbound SMS that Aliyun pushes or queues."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.sms.aliyun.protocol.receipts import Delivery
from otp_service.sms.aliyun.protocol.reports import (
    BadReports,
    SmsReport,
    SmsUp,
    describe_item,
    read_body,
    read_item,
)

REPORT: dict[str, object] = {
    "phone_number": "13800138000",
    "send_time": "2026-11-23 16:07:41",
    "report_time": "2026-11-23 16:07:46",
    "success": True,
    "err_code": "DELIVERED",
    "err_msg": "用户接收成功",
    "sms_size": "1",
    "biz_id": "900619746936498440^0",
    "out_id": "hash.id.1.mac",
}
REPLY: dict[str, object] = {
    "phone_number": "13800138000",
    "content": "退订",
    "send_time": "2026-11-23 16:09:00",
    "dest_code": "10690000",
    "sequence_id": 1234567890,
    "sign_name": "云通信测试",
}


def without(item: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in item.items() if name not in names}


# ── bodies ──


def test_push_is_an_array_and_a_queued_message_an_object() -> None:
    assert read_body(json.dumps([REPORT, REPLY]).encode()) == [REPORT, REPLY]
    assert read_body(json.dumps(REPORT).encode()) == [REPORT]
    assert read_body(b"[]") == []


@pytest.mark.parametrize(
    "body",
    [b"", b"no json", b"17", b'"text"', b"null", b"\xff\xfe", b'[{"success":', b"[" * 100_000],
    ids=["empty", "words", "number", "text", "null", "no UTF-8", "half", "bottomless"],
)
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(BadReports):
        read_body(body)


# ── reports ──


def test_report_has_its_send_and_its_state() -> None:
    assert read_item(REPORT) == SmsReport("hash.id.1.mac", Delivery.DELIVERED, "DELIVERED")


@pytest.mark.parametrize(
    ("success", "code", "delivery"),
    [
        (True, "DELIVERED", Delivery.DELIVERED),
        (True, "", Delivery.DELIVERED),
        (True, "UNDELIV", Delivery.DELIVERED),
        (False, "MOBILE_NOT_ON_SERVICE", Delivery.UNDELIVERED),
        (False, "MK:1234", Delivery.UNDELIVERED),
        (False, "", Delivery.UNDELIVERED),
        (False, "DELIVERED", Delivery.UNDELIVERED),
        (False, "REQUEST_SUCCESS", Delivery.WAITING),
    ],
)
def test_success_decides_and_the_code_says_why(success: object, code: str, delivery: Delivery) -> None:
    assert read_item({**REPORT, "success": success, "err_code": code}) == SmsReport(
        "hash.id.1.mac", delivery, code
    )


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({"success": "true"}, (Delivery.DELIVERED, "DELIVERED")),
        ({"success": " True "}, (Delivery.DELIVERED, "DELIVERED")),
        ({"success": 1}, (Delivery.DELIVERED, "DELIVERED")),
        ({"success": "false", "err_code": 17}, (Delivery.UNDELIVERED, "17")),
        ({"success": 0, "err_code": 17.0}, (Delivery.UNDELIVERED, "17")),
        ({"success": "0", "err_code": -99}, (Delivery.UNDELIVERED, "-99")),
        ({"success": False, "err_code": " UNDELIV "}, (Delivery.UNDELIVERED, "UNDELIV")),
        ({"success": False, "err_code": "SP_UNKNOW_ERROR"}, (Delivery.UNDELIVERED, "SP_UNKNOWN_ERROR")),
        ({"success": False, "err_code": "ACCEPTD"}, (Delivery.WAITING, "ACCEPTD")),
        ({"success": None}, (Delivery.DELIVERED, "DELIVERED")),
        ({"success": None, "err_code": "UNDELIV"}, (Delivery.UNDELIVERED, "UNDELIV")),
    ],
    ids=str,
)
def test_fields_are_read_whatever_their_type(changes: dict[str, object], read: tuple[Delivery, str]) -> None:
    assert read_item({**REPORT, **changes}) == SmsReport("hash.id.1.mac", *read)


def test_known_code_decides_where_success_is_missing() -> None:
    assert read_item(without(REPORT, "success")) == read_item(REPORT)


def test_out_id_may_be_a_number() -> None:
    assert read_item({**REPORT, "out_id": 17}) == SmsReport("17", Delivery.DELIVERED, "DELIVERED")


def test_huge_number_does_not_affect_the_other_items() -> None:
    body = b'[{"success":true,"out_id":%s},{"success":true}]' % (b"9" * 5000)

    assert [read_item(item) for item in read_body(body)] == [SmsReport("", Delivery.DELIVERED, "")] * 2


def test_description_of_an_item_has_known_fields_and_types_but_no_values() -> None:
    item = {**REPORT, "success": "maybe", "err_code": 17, "13800138000": 1}

    assert describe_item(item) == [
        *("phone_number:str", "send_time:str", "report_time:str", "success:str", "err_code:int"),
        *("err_msg:str", "sms_size:str", "biz_id:str", "out_id:str"),
    ]
    assert describe_item(17) == ["int"]


def test_report_needs_only_out_id_and_a_result() -> None:
    assert read_item({"success": False}) == SmsReport("", Delivery.UNDELIVERED, "")


def test_unknown_fields_change_nothing() -> None:
    assert read_item({**REPORT, "new_field": {"deep": [1]}}) == read_item(REPORT)


@pytest.mark.parametrize("code", ["<script>", "a b", "x" * 41, "停机", "A\nB", True, 1.5, None])
def test_malformed_code_is_left_out(code: object) -> None:
    item = read_item({**REPORT, "success": False, "err_code": code})

    assert isinstance(item, SmsReport)
    assert item.code == ""


# ── inbound SMS ──


def test_inbound_sms_has_sender_and_text() -> None:
    assert read_item(REPLY) == SmsUp(
        number="13800138000",
        content="退订",
        sender="10690000",
        sequence_id="1234567890",
        sent_at=datetime(2026, 11, 23, 8, 9, tzinfo=UTC),
        sign_name="云通信测试",
    )


def test_inbound_sms_may_have_numbers_instead_of_texts() -> None:
    changes = {**REPLY, "phone_number": 13800138000, "content": 1, "dest_code": 10690000, "sequence_id": "9"}
    item = read_item(changes)

    assert isinstance(item, SmsUp)
    assert (item.number, item.content, item.sender) == ("13800138000", "1", "10690000")
    assert item.sequence_id == "9"


def test_inbound_sms_keeps_its_spaces() -> None:
    item = read_item({**REPLY, "content": " T\n"})

    assert isinstance(item, SmsUp)
    assert item.content == " T\n"


@pytest.mark.parametrize("text", ["yesterday", "0001-01-01 00:00:00", "1970-01-01 08:00:00"])
def test_inbound_sms_with_an_impossible_time_has_none(text: str) -> None:
    item = read_item({**without(REPLY, "sequence_id"), "send_time": text})

    assert isinstance(item, SmsUp)
    assert (item.sent_at, item.sequence_id) == (None, "")


def test_repr_of_inbound_sms_shows_neither_number_nor_text() -> None:
    printed = repr(read_item(REPLY))

    assert "13800138000" not in printed
    assert "退订" not in printed


@pytest.mark.parametrize(
    "item",
    [
        17,
        None,
        "text",
        [],
        {},
        {"phone_number": "13800138000"},
        {**REPORT, "success": "maybe"},
        {**REPORT, "success": 2},
        {**REPORT, "success": None, "err_code": "MK:1234"},
        {**REPORT, "success": []},
        {**REPORT, "out_id": ["hash.id.1.mac"]},
        {**REPORT, "out_id": True},
        without(REPLY, "phone_number"),
        {**REPLY, "phone_number": "not a number"},
        {**REPLY, "phone_number": "1" * 21},
        {**REPLY, "content": True},
        {**REPLY, "content": None},
        {**REPLY, "content": "x" * 4097},
    ],
    ids=str,
)
def test_everything_else_is_malformed(item: object) -> None:
    with pytest.raises(BadReports):
        read_item(item)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*REPORT, *REPLY, "other"]), json_values))
def test_no_item_fails_in_another_way(item: dict[str, object]) -> None:
    try:
        read_item(item)
    except BadReports:
        return
