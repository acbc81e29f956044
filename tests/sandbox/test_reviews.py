from __future__ import annotations

from typing import Any

import pytest

from otp_service.sandbox.config import (
    DEFAULT_SIGN_NAME,
    REJECTED_SIGN_NAME,
    SIGN_NAME_IN_REVIEW,
)

STATES = [
    (DEFAULT_SIGN_NAME, "SMS_100000001", 1),
    (SIGN_NAME_IN_REVIEW, "SMS_100000008", 0),
    (REJECTED_SIGN_NAME, "SMS_100000009", 2),
]


@pytest.mark.parametrize(("name", "_", "state"), STATES, ids=["approved", "in_review", "rejected"])
def test_sign_name_is_described(caller: Any, name: str, _: str, state: int) -> None:
    old = caller.call("QuerySmsSign", SignName=name).json()
    new = caller.call("GetSmsSign", SignName=name).json()

    assert [old["Code"], old["SignName"], old["SignStatus"]] == ["OK", name, state]
    assert [new["Code"], new["SignName"], new["SignStatus"]] == ["OK", name, state]
    assert bool(old["Reason"]) == bool(new["AuditInfo"]["RejectInfo"]) == (state == 2)
    assert {row["RegisterStatus"] for row in new["SignIspRegisterDetailList"]} == {3 if state == 1 else -2}


@pytest.mark.parametrize(("_", "code", "state"), STATES, ids=["approved", "in_review", "rejected"])
def test_template_is_described(caller: Any, _: str, code: str, state: int) -> None:
    old = caller.call("QuerySmsTemplate", TemplateCode=code).json()
    new = caller.call("GetSmsTemplate", TemplateCode=code).json()

    assert [old["Code"], old["TemplateCode"], old["TemplateStatus"]] == ["OK", code, state]
    assert [new["Code"], new["TemplateCode"], new["TemplateStatus"]] == ["OK", code, str(state)]
    assert "${code}" in old["TemplateContent"]
    assert old["TemplateContent"] == new["TemplateContent"]
    assert new["VariableAttribute"] == '{"code": "characterWithNumber2"}'
    assert bool(new["AuditInfo"]["RejectInfo"]) == (state == 2)


@pytest.mark.parametrize("action", ["QuerySmsSign", "GetSmsSign"])
def test_unknown_sign_name_is_refused(caller: Any, action: str) -> None:
    assert caller.call(action, SignName="x").json()["Code"] == "isv.SMS_SIGNATURE_ILLEGAL"
    assert caller.call(action).json()["Code"] == "MissingSignName"


@pytest.mark.parametrize("action", ["QuerySmsTemplate", "GetSmsTemplate"])
def test_unknown_template_is_refused(caller: Any, action: str) -> None:
    assert caller.call(action, TemplateCode="x").json()["Code"] == "isv.SMS_TEMPLATE_ILLEGAL"
    assert caller.call(action).json()["Code"] == "MissingTemplateCode"


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("isv.SMS_SIGNATURE_ILLEGAL", {"SignName": SIGN_NAME_IN_REVIEW}),
        ("isv.SMS_SIGNATURE_ILLEGAL", {"SignName": REJECTED_SIGN_NAME}),
        ("isv.SMS_TEMPLATE_ILLEGAL", {"TemplateCode": "SMS_100000008"}),
        ("isv.SMS_TEMPLATE_ILLEGAL", {"TemplateCode": "SMS_100000009"}),
    ],
)
def test_sign_name_or_template_without_approval_cannot_be_used(
    caller: Any, code: str, changes: dict[str, str]
) -> None:
    assert caller.v1(**changes).json()["Code"] == code
    assert caller.inbox() == []
