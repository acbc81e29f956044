from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from otp_service.sandbox.api.issued_codes import IssuedCode, IssuedCodes

CHOSEN = {"code": "135790", "min": "5"}
GENERATED = {"code": "##code##", "min": "5"}


def _send(caller: Any, param: Any = CHOSEN, **changes: str | None) -> dict[str, Any]:
    params = {
        "PhoneNumber": "13800138000",
        "SignName": "速通互联验证码",
        "TemplateCode": "100001",
        "TemplateParam": param if isinstance(param, str) else json.dumps(param),
        **changes,
    }
    return caller.call("SendSmsVerifyCode", **params).json()


def _check(caller: Any, code: str, **changes: str) -> Any:
    params = {"PhoneNumber": "13800138000", "VerifyCode": code, **changes}
    return caller.call("CheckSmsVerifyCode", **params).json()["Model"]["VerifyResult"]


def test_chosen_code_is_sent(caller: Any) -> None:
    answer = _send(caller, OutId="out")

    (message,) = caller.inbox()
    model = answer.pop("Model")
    assert answer.pop("RequestId")
    assert answer == {"Code": "OK", "Message": "OK", "Success": True}
    assert set(model) == {"BizId", "OutId", "RequestId"}
    assert (model["BizId"], model["OutId"], "out") == (message["biz_id"], "out", message["out_id"])
    assert message["code"] == "135790"
    assert message["text"].startswith("【速通互联验证码】您的验证码为135790。")
    assert "5分钟内有效" in message["text"]


def test_chosen_code_cannot_be_checked(caller: Any) -> None:
    _send(caller)

    assert _check(caller, "135790") == "UNKNOWN"


def test_generated_code_is_checked_once(caller: Any) -> None:
    _send(caller, GENERATED, CodeLength="6")
    code = caller.inbox()[0]["code"]

    assert re.fullmatch(r"[0-9]{6}", code)
    assert _check(caller, "x" + code[1:]) == "UNKNOWN"
    assert _check(caller, code, PhoneNumber="13900139000") == "UNKNOWN"
    assert _check(caller, code, SchemeName="other") == "UNKNOWN"
    assert _check(caller, code) == "PASS"
    assert _check(caller, code) == "UNKNOWN"


def test_generated_code_expires(caller: Any, clock: Any) -> None:
    _send(caller, GENERATED, ValidTime="60")
    clock.advance(seconds=60)

    assert _check(caller, caller.inbox()[0]["code"]) == "UNKNOWN"


@pytest.mark.parametrize(("policy", "result"), [(None, "UNKNOWN"), ("1", "UNKNOWN"), ("2", "PASS")])
def test_duplicate_policy_decides_whether_the_earlier_code_stays_valid(
    caller: Any, clock: Any, policy: str | None, result: str
) -> None:
    for _ in range(2):
        _send(caller, GENERATED, DuplicatePolicy=policy, CodeLength="8")
        clock.advance(minutes=1)
    later, earlier = (message["code"] for message in caller.inbox())

    assert [_check(caller, earlier), _check(caller, later)] == [result, "PASS"]


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("1", "[0-9]{8}"),
        ("2", "[A-Z]{8}"),
        ("3", "[a-z]{8}"),
        ("4", "[A-Za-z]{8}"),
        ("5", "[0-9A-Z]{8}"),
        ("6", "[0-9a-z]{8}"),
        ("7", "[0-9A-Za-z]{8}"),
    ],
)
def test_generated_code_has_the_requested_type(caller: Any, kind: str, pattern: str) -> None:
    shown = _send(caller, GENERATED, CodeType=kind, CodeLength="8", ReturnVerifyCode="true")

    code = shown["Model"]["VerifyCode"]
    assert re.fullmatch(pattern, code)
    assert caller.inbox()[0]["code"] == code


def test_case_is_ignored_unless_the_policy_says_otherwise(caller: Any) -> None:
    _send(caller, GENERATED, CodeType="2", CodeLength="8")
    lower = caller.inbox()[0]["code"].lower()

    assert [_check(caller, lower, CaseAuthPolicy="2"), _check(caller, lower)] == ["UNKNOWN", "PASS"]


def test_sign_name_of_the_account_goes_with_its_own_templates(caller: Any) -> None:
    own = _send(caller, {"code": "1357"}, SignName="云通信测试", TemplateCode="SMS_100000001")

    assert own["Code"] == "OK"


@pytest.mark.parametrize(
    ("code", "param", "changes"),
    [
        ("MOBILE_NUMBER_ILLEGAL", CHOSEN, {"PhoneNumber": "1"}),
        ("MOBILE_NUMBER_ILLEGAL", CHOSEN, {"CountryCode": "1"}),
        ("SMS_SIGNATURE_ILLEGAL", CHOSEN, {"SignName": "x"}),
        ("SMS_TEMPLATE_ILLEGAL", CHOSEN, {"TemplateCode": "SMS_100000001"}),
        ("SMS_TEMPLATE_ILLEGAL", CHOSEN, {"SignName": "云通信测试"}),
        ("TEMPLATE_MISSING_PARAMETERS", {"code": "135790"}, {}),
        ("TEMPLATE_MISSING_PARAMETERS", {"min": "5"}, {}),
        ("INVALID_JSON_PARAM", "x", {}),
        ("INVALID_JSON_PARAM", {"code": "135790", "min": 5}, {}),
        ("INVALID_PARAMETERS", {"code": "135", "min": "5"}, {}),
        ("INVALID_PARAMETERS", {"code": "1357901357", "min": "5"}, {}),
        ("INVALID_PARAMETERS", {"code": "135790", "min": ""}, {}),
        ("INVALID_PARAMETERS", GENERATED, {"CodeLength": "9"}),
        ("INVALID_PARAMETERS", GENERATED, {"CodeType": "8"}),
        ("INVALID_PARAMETERS", GENERATED, {"ValidTime": "0"}),
        ("INVALID_PARAMETERS", GENERATED, {"SchemeName": "x" * 21}),
        ("BLACK_KEY_CONTROL_LIMIT", CHOSEN, {"PhoneNumber": "13800001002"}),
        ("BUSINESS_LIMIT_CONTROL", CHOSEN, {"PhoneNumber": "13800002001"}),
    ],
)
def test_refusal_has_no_prefix_and_no_model(
    caller: Any, code: str, param: Any, changes: dict[str, str]
) -> None:
    answer = _send(caller, param, **changes)

    assert [answer["Code"], answer["Success"]] == [code, False]
    assert set(answer) == {"Code", "Message", "Success", "RequestId"}
    assert caller.inbox() == []


@pytest.mark.parametrize("name", ["PhoneNumber", "SignName", "TemplateCode", "TemplateParam"])
def test_missing_parameter_is_refused_by_the_gateway(caller: Any, name: str) -> None:
    assert _send(caller, **{name: None})["Code"] == f"Missing{name}"


def test_gateway_error_keeps_the_format_of_the_gateway(caller: Any) -> None:
    assert _send(caller, PhoneNumber="13800003001")["Code"] == "Throttling.User"


def test_second_send_within_the_interval_is_refused(caller: Any, clock: Any) -> None:
    _send(caller)
    clock.advance(seconds=59)
    early = _send(caller)
    clock.advance(seconds=1)

    assert [early["Code"], early["Message"]] == ["FREQUENCY_FAIL", "check frequency failed"]
    assert _send(caller)["Code"] == "OK"


def test_interval_does_not_shorten_the_minute(caller: Any, clock: Any) -> None:
    _send(caller, Interval="1")
    clock.advance(seconds=2)

    assert _send(caller, Interval="1")["Code"] == "BUSINESS_LIMIT_CONTROL"


@pytest.mark.parametrize(
    ("code", "params"),
    [
        ("MissingPhoneNumber", {"VerifyCode": "1234"}),
        ("MissingVerifyCode", {"PhoneNumber": "13800138000"}),
        ("MOBILE_NUMBER_ILLEGAL", {"PhoneNumber": "1", "VerifyCode": "1234"}),
        (
            "INVALID_PARAMETERS",
            {"PhoneNumber": "13800138000", "VerifyCode": "1234", "CaseAuthPolicy": "3"},
        ),
    ],
)
def test_invalid_check_is_refused(caller: Any, code: str, params: dict[str, str]) -> None:
    assert caller.call("CheckSmsVerifyCode", **params).json()["Code"] == code


def test_oldest_scope_is_dropped_first(clock: Any) -> None:
    codes = IssuedCodes(max_scopes=2)
    scopes = [(str(number), "") for number in range(3)]
    for scope in scopes:
        codes.record_send(scope, clock())
        codes.issue(scope, IssuedCode("1234", clock() + timedelta(minutes=5)), keep_older=False)

    assert [codes.is_too_soon(scope, timedelta(minutes=1), clock()) for scope in scopes] == [
        False,
        True,
        True,
    ]
    assert [codes.consume(scope, "1234".__eq__, clock()) for scope in scopes] == [False, True, True]
