from __future__ import annotations

import json
from typing import Any

import pytest

NUMBERS = ["13800138000", "+8613900139000"]
NAMES = ["云通信测试"] * 2
PARAMS = [{"code": "1111"}, {"code": "2222"}]


def _batch(caller: Any, **changes: Any) -> Any:
    lists = {"PhoneNumberJson": NUMBERS, "SignNameJson": NAMES, "TemplateParamJson": PARAMS, **changes}
    texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in lists.items()
        if value is not None
    }
    return caller.call("SendBatchSms", **{"TemplateCode": "SMS_100000001", **texts}).json()


def test_messages_of_a_batch_have_their_own_codes_and_one_biz_id(caller: Any) -> None:
    answer = _batch(caller, OutId="out", SmsUpExtendCodeJson=["1", "2"])

    sent = {(message["phone"], message["code"], message["out_id"]) for message in caller.inbox()}
    assert answer["Code"] == "OK"
    assert sent == {("+8613800138000", "1111", "out"), ("+8613900139000", "2222", "out")}
    assert {message["biz_id"] for message in caller.inbox()} == {answer["BizId"]}


@pytest.mark.parametrize(("count", "code"), [(100, "OK"), (101, "isv.MOBILE_COUNT_OVER_LIMIT")])
def test_batch_has_a_hundred_numbers_at_most(caller: Any, count: int, code: str) -> None:
    numbers = [str(13900000000 + n) for n in range(count)]
    answer = _batch(
        caller,
        PhoneNumberJson=numbers,
        SignNameJson=NAMES[:1] * count,
        TemplateParamJson=PARAMS[:1] * count,
    )

    assert answer["Code"] == code
    assert len(caller.inbox()) == (count if code == "OK" else 0)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("MissingPhoneNumberJson", {"PhoneNumberJson": None}),
        ("MissingSignNameJson", {"SignNameJson": None}),
        ("MissingTemplateCode", {"TemplateCode": ""}),
        ("isv.INVALID_JSON_PARAM", {"PhoneNumberJson": "13800138000"}),
        ("isv.INVALID_JSON_PARAM", {"PhoneNumberJson": "[]"}),
        ("isv.INVALID_JSON_PARAM", {"PhoneNumberJson": "["}),
        ("isv.INVALID_PARAMETERS", {"SignNameJson": NAMES[:1]}),
        ("isv.INVALID_PARAMETERS", {"TemplateParamJson": PARAMS[:1]}),
        ("isv.INVALID_PARAMETERS", {"SmsUpExtendCodeJson": ["1"]}),
        ("isv.SMS_TEMPLATE_ILLEGAL", {"TemplateCode": "SMS_1"}),
        ("isv.SMS_SIGNATURE_ILLEGAL", {"SignNameJson": ["云通信测试", "x"]}),
        ("isv.MOBILE_NUMBER_ILLEGAL", {"PhoneNumberJson": ["13800138000", "1"]}),
        ("isv.MOBILE_NUMBER_ILLEGAL", {"PhoneNumberJson": ["13800138000", None]}),
        ("isv.TEMPLATE_MISSING_PARAMETERS", {"TemplateParamJson": None}),
        ("isv.INVALID_JSON_PARAM", {"TemplateParamJson": [{"code": "1111"}, {"code": 2222}]}),
        ("isv.INVALID_JSON_PARAM", {"TemplateParamJson": [{"code": "1111"}, "x"]}),
        ("isv.EXTEND_CODE_ERROR", {"SmsUpExtendCodeJson": ["1", "x"]}),
        ("isv.PARAM_LENGTH_LIMIT", {"OutId": "x" * 256}),
        ("isv.BLACK_KEY_CONTROL_LIMIT", {"PhoneNumberJson": ["13800138000", "13800001002"]}),
    ],
)
def test_invalid_batch_is_refused_as_a_whole(caller: Any, code: str, changes: dict[str, Any]) -> None:
    assert _batch(caller, **changes)["Code"] == code
    assert caller.inbox() == []


def test_batch_is_refused_as_a_whole_when_one_number_exceeds_flow_control(caller: Any) -> None:
    caller.v1()

    assert _batch(caller)["Code"] == "isv.BUSINESS_LIMIT_CONTROL"
    assert len(caller.inbox()) == 1
