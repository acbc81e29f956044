from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from otp_service.domain.messages import FailureCause, SendStatus
from otp_service.sms.aliyun.protocol.codes import CODES, ResponsibleParty, Retry, SendOutcome
from otp_service.sms.aliyun.sms import read_response
from otp_service.sms.provider import ProviderResult, RouteHealth

NOW = datetime(2026, 11, 23, 8, 7, 41, 250_000, tzinfo=UTC)
NUMBER, CODE = "13800138000", "735196"


def read(status: int = 200, body: object = b"", **headers: str) -> ProviderResult:
    data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_response(status, named, data, NOW)


def answer(code: object, message: str = "whatever", **more: object) -> dict[str, object]:
    return {"Code": code, "Message": message, "RequestId": "F655A8D5-B967", **more}


def flow(message: str) -> dict[str, object]:
    return answer("isv.BUSINESS_LIMIT_CONTROL", message)


ACCEPTED, UNKNOWN = SendStatus.ACCEPTED, SendStatus.UNKNOWN
NO_CODE = "local.http_200"

ANSWERS = {
    # By name: status, body, meaning and logged code.
    "ok": (200, answer("OK", BizId="9^0"), ACCEPTED, "OK"),
    "ok in another order": (200, b'{"Code":"OK","BizId":"9^0","Message":"OK"}', ACCEPTED, "OK"),
    "ok on 202": (202, answer("OK", BizId="9^0"), ACCEPTED, "OK"),
    "ok without BizId": (200, answer("OK"), ACCEPTED, "OK"),
    "ok with a number as BizId": (200, answer("OK", BizId=9), ACCEPTED, "OK"),
    "ok with unknown members": (200, answer("OK", Extra=[1]), ACCEPTED, "OK"),
    "ok that has failed": (200, answer("OK", Success=False), UNKNOWN, "OK"),
    "ok on 400": (400, answer("OK"), UNKNOWN, "OK"),
    "ok on 500": (500, answer("OK"), UNKNOWN, "OK"),
    "ok on 302": (302, answer("OK"), UNKNOWN, "OK"),
    "lower-case ok": (200, answer("ok"), UNKNOWN, "ok"),
    "ok with a space": (200, answer("OK "), UNKNOWN, NO_CODE),
    "ok with a line feed": (200, answer("OK\n"), UNKNOWN, NO_CODE),
    "longer than ok": (200, answer("OKAY"), UNKNOWN, "OKAY"),
    "not ok": (200, answer("NotOK"), UNKNOWN, "NotOK"),
    "ok in the message": (
        200,
        answer("isv.AMOUNT_NOT_ENOUGH", "OK"),
        FailureCause.ACCOUNT,
        "isv.AMOUNT_NOT_ENOUGH",
    ),
    "ok in a list": (200, [answer("OK")], UNKNOWN, NO_CODE),
    "ok one level down": (200, {"Body": answer("OK")}, UNKNOWN, NO_CODE),
    "code in lower case": (200, {"code": "OK"}, UNKNOWN, NO_CODE),
    "code is a number": (200, answer(200), UNKNOWN, NO_CODE),
    "code is true": (200, answer(code=True), UNKNOWN, NO_CODE),
    "code is null": (200, answer(None), UNKNOWN, NO_CODE),
    "code is a list": (200, answer(["OK"]), UNKNOWN, NO_CODE),
    "code is empty": (200, answer(""), UNKNOWN, NO_CODE),
    "code is the number": (200, answer(NUMBER), UNKNOWN, NO_CODE),
    "empty object": (200, b"{}", UNKNOWN, NO_CODE),
    "empty body": (200, b"", UNKNOWN, NO_CODE),
    "text": (200, b"OK", UNKNOWN, NO_CODE),
    "JSON text": (200, b'"OK"', UNKNOWN, NO_CODE),
    "null": (200, b"null", UNKNOWN, NO_CODE),
    "truncated": (200, b'{"Code":"OK"', UNKNOWN, NO_CODE),
    "two objects": (200, b'{"Code":"OK"}{"Code":"OK"}', UNKNOWN, NO_CODE),
    "XML": (200, b"<SendSmsResponse><Code>OK</Code></SendSmsResponse>", UNKNOWN, NO_CODE),
    "HTML": (200, b"<html>OK</html>", UNKNOWN, NO_CODE),
    "no UTF-8": (200, b'{"Code":"OK\xff"}', UNKNOWN, NO_CODE),
    "too deep": (200, b"[" * 60_000, UNKNOWN, NO_CODE),
    "too long a number": (200, b'{"Code":' + b"9" * 60_000 + b"}", UNKNOWN, NO_CODE),
    "301": (301, b"", UNKNOWN, "local.http_301"),
    "404 without JSON": (404, b"not found", UNKNOWN, "local.http_404"),
    "500": (500, b"", UNKNOWN, "local.http_500"),
    "502 HTML": (502, b"<html>", UNKNOWN, "local.http_502"),
    "503 JSON": (503, answer("ServiceUnavailable"), UNKNOWN, "ServiceUnavailable"),
    "500 JSON": (500, answer("InternalError"), UNKNOWN, "InternalError"),
    "InternalError on 400": (400, answer("InternalError.X"), UNKNOWN, "InternalError.X"),
    "504 with a refusal": (504, answer("isv.AMOUNT_NOT_ENOUGH"), UNKNOWN, "isv.AMOUNT_NOT_ENOUGH"),
    "302 with a refusal": (302, answer("isv.AMOUNT_NOT_ENOUGH"), UNKNOWN, "isv.AMOUNT_NOT_ENOUGH"),
    "system error": (200, answer("isp.SYSTEM_ERROR"), UNKNOWN, "isp.SYSTEM_ERROR"),
    "gateway error": (200, answer("isp.GATEWAY_ERROR"), UNKNOWN, "isp.GATEWAY_ERROR"),
    "unknown isp code": (200, answer("isp.NEW"), UNKNOWN, "isp.NEW"),
    "unknown isv code": (200, answer("isv.NEW"), FailureCause.ACCOUNT, "isv.NEW"),
    "unknown code on 200": (200, answer("FREQUENCY_FAIL"), UNKNOWN, "FREQUENCY_FAIL"),
    "unknown code on 400": (400, answer("NewTrouble"), FailureCause.PROVIDER, "NewTrouble"),
    "nonce used": (400, answer("SignatureNonceUsed"), UNKNOWN, "SignatureNonceUsed"),
    "illegal number": (
        200,
        answer("isv.MOBILE_NUMBER_ILLEGAL"),
        FailureCause.RECIPIENT,
        "isv.MOBILE_NUMBER_ILLEGAL",
    ),
    "blacklist": (
        200,
        answer("isv.BLACK_KEY_CONTROL_LIMIT"),
        FailureCause.RECIPIENT,
        "isv.BLACK_KEY_CONTROL_LIMIT",
    ),
    "unsubscribed": (200, answer("isv.CUSTOMER_REFUSED"), FailureCause.RECIPIENT, "isv.CUSTOMER_REFUSED"),
    "flow control": (
        200,
        flow("触发分钟级流控Permits:1"),
        FailureCause.RECIPIENT_RATE_LIMIT,
        "isv.BUSINESS_LIMIT_CONTROL",
    ),
    "day limit": (200, answer("isv.DAY_LIMIT_CONTROL"), FailureCause.ACCOUNT, "isv.DAY_LIMIT_CONTROL"),
    "month limit": (200, answer("isv.MONTH_LIMIT_CONTROL"), FailureCause.ACCOUNT, "isv.MONTH_LIMIT_CONTROL"),
    "arrears": (200, answer("isv.OUT_OF_SERVICE"), FailureCause.ACCOUNT, "isv.OUT_OF_SERVICE"),
    "sign name": (
        200,
        answer("isv.SMS_SIGNATURE_ILLEGAL"),
        FailureCause.ACCOUNT,
        "isv.SMS_SIGNATURE_ILLEGAL",
    ),
    "template": (200, answer("isv.SMS_TEMPLATE_ILLEGAL"), FailureCause.ACCOUNT, "isv.SMS_TEMPLATE_ILLEGAL"),
    "parameters": (200, answer("isv.INVALID_PARAMETERS"), FailureCause.ACCOUNT, "isv.INVALID_PARAMETERS"),
    "RAM": (200, answer("isp.RAM_PERMISSION_DENY"), FailureCause.ACCOUNT, "isp.RAM_PERMISSION_DENY"),
    "forbidden": (403, answer("Forbidden.RAM"), FailureCause.ACCOUNT, "Forbidden.RAM"),
    "signature": (400, answer("SignatureDoesNotMatch"), FailureCause.ACCOUNT, "SignatureDoesNotMatch"),
    "access key": (
        404,
        answer("InvalidAccessKeyId.NotFound"),
        FailureCause.ACCOUNT,
        "InvalidAccessKeyId.NotFound",
    ),
    "clock": (400, answer("InvalidTimeStamp.Expired"), FailureCause.ACCOUNT, "InvalidTimeStamp.Expired"),
    "missing": (400, answer("MissingSignName"), FailureCause.ACCOUNT, "MissingSignName"),
    "throttled user": (400, answer("Throttling.User"), FailureCause.PROVIDER, "Throttling.User"),
    "throttled": (429, answer("Throttling"), FailureCause.PROVIDER, "Throttling"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_response_has_its_result(name: str) -> None:
    status, body, meaning, provider_code = ANSWERS[name]
    outcome = read(status, body).outcome

    assert (outcome.cause or outcome.status) == meaning
    assert outcome.provider_code == provider_code


@pytest.mark.parametrize("code", CODES)
def test_every_code_of_the_table_has_its_result(code: str) -> None:
    info = CODES[code]
    outcome = read(info.http_status, answer(code)).outcome

    expected = SendOutcome.UNKNOWN if code == "SignatureNonceUsed" else info.outcome
    assert outcome.status.value == expected.value
    assert (outcome.cause is None) is (expected is not SendOutcome.REFUSED)


def test_only_throttling_codes_are_provider_failures() -> None:
    """A code that is not in the table differs from them by its retry."""
    own = [
        info
        for info in CODES.values()
        if info.outcome is SendOutcome.REFUSED and info.responsible is ResponsibleParty.PROVIDER
    ]

    assert own
    assert all(info.retry is Retry.BACKOFF for info in own)


@pytest.mark.parametrize(
    ("message", "wait"),
    [
        ("触发分钟级流控Permits:1", 19),
        ("触发小时级流控Permits:5", 52 * 60 + 19),
        ("触发天级流控Permits:10", 86_400),
        ("触发号码天级流控Permits:40", 86_400),
        ("who knows", 60),
        (None, 60),
        (["触发天级流控Permits:10"], 60),
    ],
    ids=str,
)
def test_flow_control_waits_for_the_end_of_its_window(message: object, wait: int) -> None:
    outcome = read(200, answer("isv.BUSINESS_LIMIT_CONTROL") | {"Message": message}).outcome

    assert (outcome.cause, outcome.retry_after) == (FailureCause.RECIPIENT_RATE_LIMIT, wait)


@pytest.mark.parametrize(
    ("header", "wait"),
    [("1500", 2), ("0", 0), ("-5", 0), ("soon", 0), ("9999999", 0), ("٣", 0)],
)
def test_throttling_waits_as_long_as_it_says(header: str, wait: int) -> None:
    assert read(400, answer("Throttling.User"), x_acs_retry_after=header).outcome.retry_after == wait


def test_ids_of_the_provider_are_kept() -> None:
    outcome = read(200, answer("OK", BizId="900619746936498440^0")).outcome

    assert (outcome.biz_id, outcome.request_id) == ("900619746936498440^0", "F655A8D5-B967")


def test_request_id_falls_back_to_the_header() -> None:
    assert read(502, b"<html>", x_acs_request_id="A57FBFD7").outcome.request_id == "A57FBFD7"
    assert read(200, {"Code": "OK", "RequestId": 7}, x_acs_request_id="A57").outcome.request_id == "A57"


@pytest.mark.parametrize("text", ["a b", "x" * 65, "a\n", "手机号", ""], ids=repr)
def test_ids_of_another_form_are_not_kept(text: str) -> None:
    outcome = read(200, answer("OK", BizId=text) | {"RequestId": text}).outcome

    assert (outcome.status, outcome.biz_id, outcome.request_id) == (ACCEPTED, "", "")


@pytest.mark.parametrize(
    "code", ["isv.MOBILE_NUMBER_ILLEGAL", "SignatureDoesNotMatch", "isv.BUSINESS_LIMIT_CONTROL"]
)
def test_message_of_the_provider_is_never_kept(code: str) -> None:
    result = read(200, answer(code, f"{NUMBER} invalid mobile number {CODE}"))

    assert NUMBER not in repr(result)
    assert CODE not in repr(result)


@pytest.mark.parametrize(
    ("status", "code", "health"),
    [
        (200, "OK", None),
        (200, "isp.SYSTEM_ERROR", RouteHealth.TRANSPORT_ERROR),
        (502, "", RouteHealth.TRANSPORT_ERROR),
        (200, "isv.MOBILE_NUMBER_ILLEGAL", None),
        (200, "isv.BUSINESS_LIMIT_CONTROL", None),
        (400, "Throttling.User", None),
        (200, "isv.AMOUNT_NOT_ENOUGH", RouteHealth.ACCOUNT_ERROR),
        (403, "Forbidden.Whatever", RouteHealth.ACCOUNT_ERROR),
        (404, "InvalidAccessKeyId.NotFound", RouteHealth.ACCOUNT_ERROR),
        (200, "isv.SMS_SIGNATURE_ILLEGAL", RouteHealth.ACCOUNT_ERROR),
        (200, "isv.SMS_TEMPLATE_ILLEGAL", RouteHealth.TEMPLATE_ERROR),
        (200, "isv.DENY_IP_RANGE", RouteHealth.TEMPLATE_ERROR),
        (200, "isv.INVALID_PARAMETERS", None),
        (200, "isv.SMS_TEST_NUMBER_LIMIT", None),
        (200, "isv.DOMESTIC_NUMBER_NOT_SUPPORTED", None),
        (200, "isv.NEW", None),
    ],
    ids=str,
)
def test_only_transport_and_operator_errors_affect_the_route(
    status: int, code: str, health: RouteHealth | None
) -> None:
    assert read(status, answer(code)).health is health
