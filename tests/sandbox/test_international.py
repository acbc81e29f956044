"""International templates are sent only to numbers outside the mainland, in Alibaba Cloud's format."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sandbox.conftest import Caller
from sandbox.report_receiver import receiving

from otp_service.sandbox import SandboxConfig, start_sandbox
from otp_service.sms.aliyun.protocol.mns import MessageType

INTERNATIONAL = "SMS_100000010"
TEXT = "【云通信测试】Your verification code is 123456. It is valid for 5 minutes."


def send(caller: Any, number: str, template: str = INTERNATIONAL) -> str:
    return str(caller.v1(PhoneNumbers=number, TemplateCode=template).json()["Code"])


@pytest.mark.parametrize(
    "number", ["85251234567", "12025550123", "447911123456", "85366123456", "6581234567"]
)
def test_number_outside_the_mainland_gets_an_international_template(caller: Any, number: str) -> None:
    assert send(caller, number) == "OK"
    (message,) = caller.inbox()
    assert (message["phone"], message["text"], message["code"]) == (f"+{number}", TEXT, "123456")


@pytest.mark.parametrize(
    ("number", "template", "code"),
    [
        ("13800138000", INTERNATIONAL, "isv.DOMESTIC_NUMBER_NOT_SUPPORTED"),
        ("8613800138000", INTERNATIONAL, "isv.DOMESTIC_NUMBER_NOT_SUPPORTED"),
        ("18624017194", INTERNATIONAL, "isv.DOMESTIC_NUMBER_NOT_SUPPORTED"),
        ("+18624017194", INTERNATIONAL, "isv.DOMESTIC_NUMBER_NOT_SUPPORTED"),
        ("85251234567,13800138000", INTERNATIONAL, "isv.DOMESTIC_NUMBER_NOT_SUPPORTED"),
        ("85251234567", "SMS_100000001", "isv.MOBILE_NUMBER_ILLEGAL"),
        ("13800138000,85251234567", "SMS_100000001", "isv.MOBILE_NUMBER_ILLEGAL"),
        ("+85251234567", INTERNATIONAL, "isv.MOBILE_NUMBER_ILLEGAL"),
        ("0085251234567", INTERNATIONAL, "isv.MOBILE_NUMBER_ILLEGAL"),
        ("861012345678", INTERNATIONAL, "isv.MOBILE_NUMBER_ILLEGAL"),
        ("852512", INTERNATIONAL, "isv.MOBILE_NUMBER_ILLEGAL"),
        ("8525123456789012", INTERNATIONAL, "isv.MOBILE_NUMBER_ILLEGAL"),
    ],
)
def test_number_and_template_of_different_kinds_are_refused(
    caller: Any, number: str, template: str, code: str
) -> None:
    assert send(caller, number, template) == code
    assert caller.inbox() == []


def test_batch_takes_numbers_outside_the_mainland(caller: Any) -> None:
    answer = caller.call(
        "SendBatchSms",
        PhoneNumberJson='["85251234567","12025550123"]',
        SignNameJson='["云通信测试","云通信测试"]',
        TemplateCode=INTERNATIONAL,
        TemplateParamJson='[{"code":"123456"},{"code":"654321"}]',
    )

    assert answer.json()["Code"] == "OK"
    assert {message["phone"] for message in caller.inbox()} == {"+85251234567", "+12025550123"}


def test_delivery_can_be_queried(caller: Any) -> None:
    send(caller, "85251234567")

    response = caller.call(
        "QuerySendDetails", PhoneNumber="85251234567", SendDate="20261123", PageSize="10", CurrentPage="1"
    ).json()

    (row,) = response["SmsSendDetailDTOs"]["SmsSendDetailDTO"]
    assert (row["PhoneNum"], row["SendStatus"], row["ErrCode"]) == ("85251234567", 3, "DELIVERED")


@pytest.mark.parametrize("phone", ["85251234567", "%2B852 5123 4567", " 85251234567", "0085251234567"])
def test_inbox_finds_the_number_in_any_format(caller: Any, phone: str) -> None:
    send(caller, "85251234567")
    send(caller, "12025550123")

    assert [message["phone"] for message in caller.inbox(f"?phone={phone}")] == ["+85251234567"]


def test_template_is_described_as_international(caller: Any) -> None:
    old = caller.call("QuerySmsTemplate", TemplateCode=INTERNATIONAL).json()
    new = caller.call("GetSmsTemplate", TemplateCode=INTERNATIONAL).json()

    assert old["TemplateType"] == 3
    assert (new["TemplateType"], new["IntlType"]) == ("3", 2)


def test_reports_and_replies_have_the_number_in_alibaba_clouds_format(
    config: SandboxConfig, clock: Any
) -> None:
    with receiving() as receiver:
        reporting = replace(config, report_urls=dict.fromkeys(MessageType, receiver.url))
        with start_sandbox(reporting, clock=clock) as server:
            caller = Caller(server.url, clock)
            send(caller, "85251234567")
            caller.raw("POST", "/inbox/reply", json={"phone": "+852 5123 4567", "content": "T"})
            receiver.wait_for(2)
            caller.session.close()

    assert [item["phone_number"] for post in receiver.posts for item in post] == ["85251234567"] * 2


# ── values of TemplateParam ──


@pytest.mark.parametrize(
    ("param", "code"),
    [
        ('{"code":null}', "isv.TEMPLATE_MISSING_PARAMETERS"),
        ('{"code":true}', "isv.INVALID_JSON_PARAM"),
        ('{"code":["123456"]}', "isv.INVALID_JSON_PARAM"),
        ('{"code":NaN}', "isv.INVALID_JSON_PARAM"),
        ('{"code":"123456","more":null}', "isv.INVALID_JSON_PARAM"),
        ("null", "isv.INVALID_JSON_PARAM"),
        ("true", "isv.INVALID_JSON_PARAM"),
    ],
)
def test_value_that_is_not_a_string_is_refused(caller: Any, param: str, code: str) -> None:
    assert caller.v1(TemplateParam=param).json()["Code"] == code
    assert caller.inbox() == []
