from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import requests

from otp_service.sandbox import SandboxConfig
from otp_service.sandbox.magic import MAGIC, Delay, DropConnection, MagicNumber, MalformedResponse, Refuse

NUMBER = "13800138000"


@pytest.fixture
def config(config: SandboxConfig) -> SandboxConfig:
    return replace(config, delivery_seconds=5.0)


def _query(caller: Any, number: str = NUMBER, **changes: str | None) -> Any:
    params = {"SendDate": "20261123", "PageSize": "50", "CurrentPage": "1", **changes}
    return caller.call("QuerySendDetails", PhoneNumber=number, **params)


def _rows(caller: Any, number: str = NUMBER, **changes: str | None) -> list[dict[str, Any]]:
    return _query(caller, number, **changes).json()["SmsSendDetailDTOs"]["SmsSendDetailDTO"]


def test_sms_is_waiting_until_it_is_delivered(caller: Any, clock: Any) -> None:
    caller.v1(OutId="out")
    clock.advance(seconds=4.9)
    waiting = _rows(caller)
    clock.advance(seconds=0.1)

    row = {
        "PhoneNum": "13800138000",
        "SendDate": "2026-11-23 16:07:41",
        "SendStatus": 1,
        "TemplateCode": "SMS_100000001",
        "Content": "【云通信测试】您正在登录，验证码123456，5分钟内有效，请勿泄露给他人。",
        "OutId": "out",
    }
    reported = {"SendStatus": 3, "ReceiveDate": "2026-11-23 16:07:46", "ErrCode": "DELIVERED"}
    assert waiting == [row]
    assert _rows(caller) == [{**row, **reported}]


def test_response_has_the_fields_of_the_api(caller: Any) -> None:
    body = _query(caller).json()

    assert body.pop("RequestId")
    assert body == {
        "Code": "OK",
        "Message": "OK",
        "TotalCount": 0,
        "SmsSendDetailDTOs": {"SmsSendDetailDTO": []},
    }


SCENARIOS = [magic for magic in MAGIC.values() if magic.number.startswith("138000070")]


@pytest.mark.parametrize("magic", SCENARIOS, ids=[magic.number for magic in SCENARIOS])
def test_magic_number_has_its_delivery_scenario(caller: Any, clock: Any, magic: MagicNumber) -> None:
    caller.v1(PhoneNumbers=magic.number)
    clock.advance(seconds=5 + magic.delivery.late_seconds)

    (row,) = _rows(caller, magic.number)
    waits = not magic.delivery.reports or magic.delivery.err_code == "REQUEST_SUCCESS"
    delivered = magic.delivery.err_code == "DELIVERED"
    assert row["SendStatus"] == (1 if waits else 3 if delivered else 2)
    assert row.get("ErrCode") == (None if waits else magic.delivery.err_code)


def test_late_number_is_reported_later(caller: Any, clock: Any) -> None:
    caller.v1(PhoneNumbers="13800007012")
    clock.advance(seconds=14.9)

    assert [row["SendStatus"] for row in _rows(caller, "13800007012")] == [1]


def test_each_number_of_a_list_has_its_own_result(caller: Any, clock: Any) -> None:
    caller.v1(PhoneNumbers="13800138000,13800007001")
    clock.advance(seconds=5)

    assert [row["SendStatus"] for row in _rows(caller) + _rows(caller, "13800007001")] == [3, 2]


def test_pages_are_newest_first(caller: Any, clock: Any) -> None:
    for code in ("111111", "222222", "333333"):
        caller.v1(TemplateParam=f'{{"code":"{code}"}}', OutId=code)
        clock.advance(minutes=1)

    pages = [
        [row["OutId"] for row in _rows(caller, PageSize="2", CurrentPage=page)] for page in ("1", "2", "3")
    ]
    assert pages == [["333333", "222222"], ["111111"], []]
    assert _query(caller, PageSize="1").json()["TotalCount"] == 3


def test_biz_id_selects_one_request(caller: Any, clock: Any) -> None:
    first = caller.v1(OutId="first").json()["BizId"]
    clock.advance(minutes=1)
    caller.v1(OutId="second")

    assert [row["OutId"] for row in _rows(caller, BizId=first)] == ["first"]
    assert _rows(caller, BizId="0^0") == []


def test_day_is_a_day_in_china(caller: Any, clock: Any) -> None:
    clock.advance(hours=7, minutes=52, seconds=18)
    caller.v1(OutId="before")
    clock.advance(minutes=1)
    caller.v1(OutId="after")

    days = [[row["OutId"] for row in _rows(caller, SendDate=day)] for day in ("20261123", "20261124")]
    assert days == [["before"], ["after"]]


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("MissingPhoneNumber", {"number": ""}),
        ("MissingSendDate", {"SendDate": None}),
        ("MissingPageSize", {"PageSize": ""}),
        ("MissingCurrentPage", {"CurrentPage": None}),
        ("isv.MOBILE_NUMBER_ILLEGAL", {"number": "13800138000,13900139000"}),
        ("isv.INVALID_PARAMETERS", {"PageSize": "51"}),
        ("isv.INVALID_PARAMETERS", {"PageSize": "0"}),
        ("isv.INVALID_PARAMETERS", {"PageSize": "-1"}),
        ("isv.INVALID_PARAMETERS", {"CurrentPage": "x"}),
        ("isv.INVALID_PARAMETERS", {"CurrentPage": "٣"}),
        ("isv.INVALID_PARAMETERS", {"CurrentPage": "9" * 5000}),
        ("isv.INVALID_PARAMETERS", {"SendDate": "2026-11-23"}),
    ],
)
def test_invalid_parameter_is_refused(caller: Any, code: str, changes: dict[str, str | None]) -> None:
    assert _query(caller, **changes).json()["Code"] == code


QUERIES = [magic for magic in MAGIC.values() if magic.number.startswith("138000080")]


@pytest.mark.parametrize("magic", QUERIES, ids=[magic.number for magic in QUERIES])
def test_magic_number_is_delivered_but_its_query_fails(
    caller: Any, pauses: list[float], magic: MagicNumber
) -> None:
    assert caller.v1(PhoneNumbers=magic.number).json()["Code"] == "OK"

    match magic.query_behavior:
        case Refuse(code=code):
            assert _query(caller, magic.number).json()["Code"] == code
        case Delay(seconds=seconds):
            assert _query(caller, magic.number).json()["TotalCount"] == 1
            assert pauses == [seconds]
        case MalformedResponse(response=response):
            assert _query(caller, magic.number).text == response.body
        case DropConnection():
            with pytest.raises(requests.ConnectionError):
                _query(caller, magic.number)
        case _:
            pytest.fail("unexpected behavior")
