from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from otp_service.sms.aliyun.protocol import signature


def _code(answer: object) -> str:
    return answer.json()["Code"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_v1_call_is_accepted(caller: Any, method: str) -> None:
    answer = caller.v1(method)

    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json;charset=utf-8"
    assert (body["Code"], body["Message"]) == ("OK", "OK")
    assert body["BizId"].endswith("^0")
    assert answer.headers["x-acs-request-id"] == body["RequestId"]


def test_v1_parameters_can_be_split_between_query_and_form(caller: Any) -> None:
    both = caller.params()
    query = {name: both.pop(name) for name in ("Action", "Version", "AccessKeyId")}
    text = signature.v1_string_to_sign("POST", {**query, **both}.items())
    query["Signature"] = signature.v1_signature("testSecret", text)
    answer = caller.raw("POST", params=query, data=both)

    assert _code(answer) == "OK"


def test_v3_call_is_accepted(caller: Any) -> None:
    assert _code(caller.v3()) == "OK"


def test_v3_request_with_a_wrong_body_hash_is_refused(caller: Any) -> None:
    announced = signature.body_sha256(b"another")

    assert _code(caller.v3(announced=announced)) == "SignatureDoesNotMatch"


def test_accepted_call_is_in_the_inbox(caller: Any) -> None:
    biz_id = caller.v1(OutId="out").json()["BizId"]

    assert caller.inbox() == [
        {
            "phone": "+8613800138000",
            "sign_name": "云通信测试",
            "template_code": "SMS_100000001",
            "text": "【云通信测试】您正在登录，验证码123456，5分钟内有效，请勿泄露给他人。",
            "code": "123456",
            "out_id": "out",
            "biz_id": biz_id,
            "received_at": "2026-11-23T08:07:41Z",
            "delivery": "delivered",
            "err_code": "DELIVERED",
        }
    ]


def test_call_to_several_numbers_shares_one_biz_id(caller: Any) -> None:
    caller.v1(PhoneNumbers="13800138000,+8613900139000")

    messages = caller.inbox()
    assert {message["phone"] for message in messages} == {"+8613800138000", "+8613900139000"}
    assert len({message["biz_id"] for message in messages}) == 1


# Each case fails its own check and every later one, so the table tests the order of the checks.
UNKNOWN_KEY = {"AccessKeyId": "unknownId"}
OLD = {"Timestamp": "2020-01-01T00:00:00Z"}
WRONG = {"secret": "wrong"}
UNKNOWN_ACTION = {"Action": "Nothing"}
NO_PHONE = {"PhoneNumbers": ""}
ORDER = [
    ("MissingAccessKeyId", 400, {"AccessKeyId": None, **OLD, **WRONG, **UNKNOWN_ACTION, **NO_PHONE}),
    ("InvalidAccessKeyId.NotFound", 404, {**UNKNOWN_KEY, **OLD, **WRONG, **UNKNOWN_ACTION, **NO_PHONE}),
    ("InvalidTimeStamp.Expired", 400, {**OLD, **WRONG, **UNKNOWN_ACTION, **NO_PHONE}),
    ("SignatureDoesNotMatch", 400, {**WRONG, **UNKNOWN_ACTION, **NO_PHONE}),
    ("InvalidAction.NotFound", 404, {**UNKNOWN_ACTION, **NO_PHONE}),
    ("InvalidVersion", 400, {"Version": "2010-01-01", **NO_PHONE}),
    ("MissingPhoneNumbers", 400, {**NO_PHONE, "SignName": "", "TemplateCode": ""}),
    ("MissingSignName", 400, {"PhoneNumbers": "1", "SignName": None, "TemplateCode": ""}),
    ("MissingTemplateCode", 400, {"PhoneNumbers": "1", "SignName": "x", "TemplateCode": None}),
    ("isv.MOBILE_NUMBER_ILLEGAL", 200, {"PhoneNumbers": "1", "SignName": "x", "TemplateCode": "x"}),
    ("isv.SMS_SIGNATURE_ILLEGAL", 200, {"SignName": "x", "TemplateCode": "x", "TemplateParam": "x"}),
    ("isv.SMS_TEMPLATE_ILLEGAL", 200, {"TemplateCode": "x", "TemplateParam": "x"}),
    ("isv.INVALID_JSON_PARAM", 200, {"TemplateParam": "x", "OutId": "x" * 256}),
    ("isv.PARAM_LENGTH_LIMIT", 200, {"OutId": "x" * 256, "SmsUpExtendCode": "x"}),
    ("isv.EXTEND_CODE_ERROR", 200, {"SmsUpExtendCode": "x"}),
]


@pytest.mark.parametrize(("code", "status", "changes"), ORDER, ids=[case[0] for case in ORDER])
def test_first_failed_check_decides(
    caller: Any, code: str, status: int, changes: dict[str, str | None]
) -> None:
    answer = caller.v1(**changes)

    assert (_code(answer), answer.status_code) == (code, status)
    assert caller.inbox() == []


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("InvalidTimeStamp.Format", {"Timestamp": "2026-11-23 08:07:41"}),
        ("MissingTimestamp", {"Timestamp": None}),
        ("MissingSignatureNonce", {"SignatureNonce": ""}),
        ("MissingAction", {"Action": None}),
        ("MissingVersion", {"Version": None}),
        ("IncompleteSignature", {"SignatureMethod": "HMAC-SHA256"}),
        ("IncompleteSignature", {"SignatureVersion": None}),
        ("IncompleteSignature", {"Signature": ""}),
    ],
)
def test_malformed_call_is_refused(caller: Any, code: str, changes: dict[str, str | None]) -> None:
    answer = caller.v1(**changes)

    assert (_code(answer), answer.status_code) == (code, 400)


def test_gateway_error_contains_host_and_help_url(caller: Any) -> None:
    body = caller.v1(PhoneNumbers=None).json()

    assert body["Message"] == "PhoneNumbers is mandatory for this action."
    assert body["HostId"] == caller.url.removeprefix("http://")
    assert body["Recommend"].startswith("https://api.aliyun.com/troubleshoot?q=MissingPhoneNumbers&")


def test_business_error_has_no_biz_id_and_no_host(caller: Any) -> None:
    body = caller.v1(SignName="x").json()

    assert set(body) == {"Code", "Message", "RequestId"}


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(-901, "InvalidTimeStamp.Expired"), (-900, "OK"), (900, "OK"), (901, "InvalidTimeStamp.Expired")],
)
def test_timestamp_can_be_15_minutes_off(caller: Any, clock: Any, seconds: int, code: str) -> None:
    stamp = caller.params()["Timestamp"]
    clock.advance(seconds=seconds)

    assert _code(caller.v1(Timestamp=stamp)) == code


def test_nonce_can_be_used_once(caller: Any) -> None:
    caller.v1(SignatureNonce="n")
    again = caller.v1(SignatureNonce="n", PhoneNumbers="13900139000")

    assert _code(again) == "SignatureNonceUsed"
    assert len(caller.inbox()) == 1


def test_nonce_is_not_used_up_by_a_wrong_signature(caller: Any) -> None:
    caller.v1(SignatureNonce="n", secret="wrong")

    assert _code(caller.v1(SignatureNonce="n")) == "OK"


def test_nonce_is_used_up_by_a_request_that_is_refused_later(caller: Any) -> None:
    caller.v1(SignatureNonce="n", PhoneNumbers=None)

    assert _code(caller.v1(SignatureNonce="n")) == "SignatureNonceUsed"


V3 = "ACS3-HMAC-SHA256"
INCOMPLETE_SIGNATURES = {
    "unsigned_header": ("IncompleteSignature", {"x-acs-unsigned": "1"}),
    "unsigned_type": ("IncompleteSignature", {"content-type": "text/plain"}),
    "bare": ("IncompleteSignature", {"Authorization": V3}),
    "sm3": (
        "IncompleteSignature",
        {"Authorization": "ACS3-HMAC-SM3 Credential=testId,SignedHeaders=host,Signature=0"},
    ),
    "no_key": (
        "MissingAccessKeyId",
        {"Authorization": f"{V3} Credential=,SignedHeaders=host,Signature=0"},
    ),
    "unknown_key": (
        "InvalidAccessKeyId.NotFound",
        {"Authorization": f"{V3} Credential=x,SignedHeaders=host,Signature=0"},
    ),
    "too_few_signed": (
        "IncompleteSignature",
        {"Authorization": f"{V3} Credential=testId,SignedHeaders=host,Signature=0"},
    ),
}


@pytest.mark.parametrize(("code", "headers"), INCOMPLETE_SIGNATURES.values(), ids=INCOMPLETE_SIGNATURES)
def test_v3_request_with_an_incomplete_signature_is_refused(
    caller: Any, code: str, headers: dict[str, str]
) -> None:
    assert _code(caller.v3(headers)) == code


@pytest.mark.parametrize(
    ("param", "code", "message"),
    [
        ("", "isv.TEMPLATE_MISSING_PARAMETERS", "模板变量缺少对应参数值"),
        ("{}", "isv.TEMPLATE_MISSING_PARAMETERS", "模板变量缺少对应参数值"),
        ("[1]", "isv.INVALID_JSON_PARAM", "模板变量JSON格式错误"),
        ('{"code":123456}', "isv.INVALID_JSON_PARAM", "参数格式错误，请修改为字符串值"),
        ('{"code":"123456","x":"y"}', "isv.INVALID_JSON_PARAM", "JSON变量属性与模板占位符不一致"),
        ('{"code":"1234567"}', "isv.PARAM_LENGTH_LIMIT", "参数超过长度限制:6"),
        ('{"code":"http://a"}', "isv.PARAM_NOT_SUPPORT_URL", "变量不支持传入URL"),
        (
            '{"code":"123456","locale":"zh-CN"}',
            "isv.INVALID_PARAMETERS",
            "params must be [a-zA-Z0-9] for verification sms",
        ),
    ],
)
def test_template_param_breaking_a_rule_is_refused(caller: Any, param: str, code: str, message: str) -> None:
    body = caller.v1(TemplateParam=param).json()

    assert (body["Code"], body["Message"]) == (code, message)


def test_error_message_contains_the_number(caller: Any) -> None:
    assert caller.v1(PhoneNumbers="1598072658").json()["Message"] == "1598072658invalid mobile number"


def test_thousand_numbers_are_accepted(caller: Any) -> None:
    numbers = ",".join(str(13900000000 + n) for n in range(1000))

    assert _code(caller.v1(PhoneNumbers=numbers)) == "OK"
    assert len(caller.inbox()) == 1000


def test_more_than_a_thousand_numbers_are_refused(caller: Any) -> None:
    numbers = ",".join(str(13900000000 + n) for n in range(1001))

    assert _code(caller.v1(PhoneNumbers=numbers)) == "isv.MOBILE_COUNT_OVER_LIMIT"


def test_second_message_within_a_minute_is_refused(caller: Any, clock: Any) -> None:
    caller.v1()
    clock.advance(seconds=18)
    early = caller.v1(PhoneNumbers="+8613800138000").json()
    clock.advance(seconds=1)

    assert (early["Code"], early["Message"]) == ("isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1")
    assert _code(caller.v1()) == "OK"


def test_request_to_several_numbers_is_refused_when_one_exceeds_flow_control(caller: Any) -> None:
    caller.v1()
    answer = caller.v1(PhoneNumbers="13900139000,13800138000")

    assert _code(answer) == "isv.BUSINESS_LIMIT_CONTROL"
    assert len(caller.inbox()) == 1


def test_refused_call_does_not_count_for_flow_control(caller: Any) -> None:
    caller.v1(TemplateParam="{}")

    assert _code(caller.v1()) == "OK"


def test_parallel_calls_to_one_number_are_accepted_once(caller: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        codes = [_code(answer) for answer in pool.map(lambda _: caller.v1(), range(16))]

    assert codes.count("OK") == 1
    assert len(caller.inbox()) == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_other_method_is_not_allowed(caller: Any, method: str) -> None:
    assert caller.raw(method).status_code == 405


def test_response_is_never_cached(caller: Any) -> None:
    headers = caller.v1().headers

    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert json.dumps(dict(headers)).count("123456") == 0
