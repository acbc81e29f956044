from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from otp_service.domain.messages import FailureCause, SendStatus
from otp_service.sms.aliyun.pnvs import lookup_pnvs, read_response
from otp_service.sms.aliyun.protocol.codes import CODES, PNVS_CODES, SendOutcome
from otp_service.sms.provider import ProviderResult, RouteHealth

NOW = datetime(2026, 11, 23, 8, 7, 41, 250_000, tzinfo=UTC)
ACCEPTED, UNKNOWN = SendStatus.ACCEPTED, SendStatus.UNKNOWN


def read(status: int, body: object) -> ProviderResult:
    data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return read_response(status, {}, data, NOW)


def answer(code: object, *, success: object = None, **more: object) -> dict[str, object]:
    fields = {"Code": code, "Message": "whatever", "RequestId": "F655A8D5", **more}
    return fields if success is None else {**fields, "Success": success}


OK = answer("OK", success=True, Model={"BizId": "9^0"})

ANSWERS = {
    "ok": (200, OK, ACCEPTED),
    "ok without Success": (200, answer("OK", Model={}), ACCEPTED),
    "ok without Model": (200, answer("OK", success=True), ACCEPTED),
    "ok with another Model": (200, answer("OK", success=True, Model=["9^0"]), ACCEPTED),
    "ok without success": (200, answer("OK", success=False), UNKNOWN),
    "ok with success in a text": (200, answer("OK", success="false"), UNKNOWN),
    "ok on 400": (400, OK, UNKNOWN),
    "ok on 502": (502, OK, UNKNOWN),
    "lower-case ok": (200, answer("ok", success=True), UNKNOWN),
    "only Success": (200, {"Success": True, "Model": {"BizId": "9^0"}}, UNKNOWN),
    "only Model": (200, {"Model": {"Code": "OK"}}, UNKNOWN),
    "empty": (200, b"", UNKNOWN),
    "HTML": (200, b"<html>OK</html>", UNKNOWN),
    "flow control": (200, answer("BUSINESS_LIMIT_CONTROL", success=False), FailureCause.RECIPIENT_RATE_LIMIT),
    "flow control on 400": (400, answer("BUSINESS_LIMIT_CONTROL"), FailureCause.RECIPIENT_RATE_LIMIT),
    "flow control that succeeds": (200, answer("BUSINESS_LIMIT_CONTROL", success=True), UNKNOWN),
    "flow control on 500": (500, answer("BUSINESS_LIMIT_CONTROL", success=False), UNKNOWN),
    "frequency": (400, answer("FREQUENCY_FAIL", success=False), FailureCause.RECIPIENT_RATE_LIMIT),
    "illegal number": (400, answer("MOBILE_NUMBER_ILLEGAL", success=False), FailureCause.RECIPIENT),
    "not opened": (400, answer("FUNCTION_NOT_OPENED", success=False), FailureCause.ACCOUNT),
    "arrears": (200, answer("OUT_OF_SERVICE", success=False), FailureCause.ACCOUNT),
    "arrears with a prefix": (200, answer("isv.OUT_OF_SERVICE", success=False), FailureCause.ACCOUNT),
    "system error": (200, answer("SYSTEM_ERROR", success=False), UNKNOWN),
    "unknown code": (200, answer("CARRIER_TROUBLE", success=False), UNKNOWN),
    "unknown code on 400": (400, answer("CARRIER_TROUBLE", success=False), UNKNOWN),
    "throttled": (400, answer("Throttling.User"), FailureCause.PROVIDER),
    "no right": (403, answer("NoPermission"), FailureCause.ACCOUNT),
    "missing": (400, answer("MissingTemplateParam"), FailureCause.ACCOUNT),
    "ServiceUnavailable": (503, answer("ServiceUnavailable"), UNKNOWN),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_response_has_its_result(name: str) -> None:
    status, body, meaning = ANSWERS[name]
    result = read(status, body)

    assert (result.outcome.cause or result.outcome.status) == meaning
    assert (result.health is RouteHealth.TRANSPORT_ERROR) is (meaning is UNKNOWN)


def test_biz_id_is_read_from_the_model() -> None:
    assert read(200, OK).outcome.biz_id == "9^0"
    assert read(200, answer("OK", BizId="8^0")).outcome.biz_id == ""


@pytest.mark.parametrize(
    ("message", "wait"),
    [
        ("触发分钟级流控Permits:1", 19),
        ("触发小时级流控Permits:5", 52 * 60 + 19),
        ("The number has exceeded the limit for the day.", 86_400),
        ("Check frequency fail.", 60),
        (None, 60),
    ],
    ids=str,
)
def test_flow_control_waits_for_the_end_of_its_window(message: object, wait: int) -> None:
    outcome = read(400, answer("BUSINESS_LIMIT_CONTROL") | {"Message": message}).outcome

    assert (outcome.cause, outcome.retry_after) == (FailureCause.RECIPIENT_RATE_LIMIT, wait)


@pytest.mark.parametrize("code", [code for code in CODES if code.startswith(("isv.", "isp."))])
def test_every_code_of_the_sms_service_means_the_same_without_its_prefix(code: str) -> None:
    row, bare = CODES[code], code.partition(".")[2]
    with_prefix, without = read(200, answer(code)), read(200, answer(bare))

    if bare not in PNVS_CODES:
        assert lookup_pnvs(bare) is row
        assert without.health is with_prefix.health
    assert (without.outcome.status, without.outcome.cause) == (
        with_prefix.outcome.status,
        with_prefix.outcome.cause,
    )
    assert without.outcome.provider_code == bare


@pytest.mark.parametrize("code", PNVS_CODES)
def test_every_code_of_its_own_table_is_a_refusal(code: str) -> None:
    assert PNVS_CODES[code].outcome is SendOutcome.REFUSED
    assert read(400, answer(code, success=False)).outcome.status is SendStatus.REFUSED


def test_provider_message_is_never_kept() -> None:
    result = read(400, answer("MOBILE_NUMBER_ILLEGAL") | {"Message": "13800138000 735196"})

    assert "138001" not in repr(result)
    assert "735196" not in repr(result)
