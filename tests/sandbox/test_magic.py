from __future__ import annotations

from pathlib import Path
from typing import Any

import phonenumbers
import pytest
import requests

from otp_service.sandbox.magic import (
    MAGIC,
    Delay,
    DropConnection,
    MagicNumber,
    MalformedResponse,
    Refuse,
    behavior_of,
    deliver_normally,
)
from otp_service.sms.aliyun.protocol.codes import SendOutcome, lookup
from otp_service.sms.aliyun.protocol.phone_numbers import e164

_DOCS = Path(__file__).parents[2] / "docs" / "sandbox.md"


def _with_behavior(kind: type) -> pytest.MarkDecorator:
    rows = [magic for magic in MAGIC.values() if isinstance(magic.behavior, kind)]
    return pytest.mark.parametrize("magic", rows, ids=[magic.number for magic in rows])


@pytest.mark.parametrize("number", MAGIC)
def test_magic_number_is_a_valid_mobile(number: str) -> None:
    parsed = phonenumbers.parse(number, "CN")

    assert phonenumbers.is_valid_number(parsed)
    assert phonenumbers.number_type(parsed) == phonenumbers.PhoneNumberType.MOBILE


@pytest.mark.parametrize("magic", MAGIC.values(), ids=MAGIC)
def test_magic_number_has_its_row_in_the_docs(magic: MagicNumber) -> None:
    assert f"| `{magic.number}` | {magic.effect} |" in _DOCS.read_text("utf-8")


@_with_behavior(Refuse)
def test_number_that_is_refused_gets_its_error_code(caller: Any, magic: MagicNumber) -> None:
    answer = caller.v1(PhoneNumbers=magic.number)

    row = lookup(magic.behavior.code)
    assert (answer.json()["Code"], answer.status_code) == (row.code, row.http_status)
    assert answer.json()["Message"] == (magic.behavior.message or row.message)
    assert row.outcome is not SendOutcome.ACCEPTED
    assert caller.inbox() == []


@_with_behavior(Delay)
def test_slow_number_is_delivered_with_a_late_response(
    caller: Any, pauses: list[float], magic: MagicNumber
) -> None:
    answer = caller.v3(PhoneNumbers=magic.number)

    assert answer.json()["Code"] == "OK"
    assert pauses == [magic.behavior.seconds]
    assert [message["phone"] for message in caller.inbox()] == [e164(magic.number)]


@_with_behavior(DropConnection)
@pytest.mark.parametrize("scheme", ["v1", "v3"])
def test_number_that_drops_the_connection_gets_no_response(
    caller: Any, magic: MagicNumber, scheme: str
) -> None:
    how = "Connection reset by peer" if magic.behavior.reset else "closed connection without response"
    with pytest.raises(requests.ConnectionError, match=how):
        getattr(caller, scheme)(PhoneNumbers=magic.number)

    assert len(caller.inbox()) == magic.behavior.delivers


@_with_behavior(MalformedResponse)
def test_number_gets_a_malformed_response(caller: Any, magic: MagicNumber) -> None:
    answer = caller.v1(PhoneNumbers=magic.number)

    malformed = magic.behavior.response
    assert (answer.status_code, answer.text) == (malformed.status, malformed.body)
    assert answer.headers["Content-Type"] == malformed.content_type
    assert len(caller.inbox()) == magic.behavior.delivers
    assert magic.behavior.delivers == (malformed.status == 200)


def test_number_gets_a_redirect(caller: Any) -> None:
    answer = caller.v1(PhoneNumbers="13800006007")

    assert (answer.status_code, answer.headers["Location"]) == (301, "http://127.0.0.1:9/")


@pytest.mark.parametrize("number", ["13800001002", "13800005002", "13800006001"])
def test_request_to_a_magic_number_must_pass_all_checks_first(caller: Any, number: str) -> None:
    answer = caller.v1(PhoneNumbers=number, SignName="unknown")

    assert answer.json()["Code"] == "isv.SMS_SIGNATURE_ILLEGAL"


def test_first_number_with_a_behavior_decides() -> None:
    assert behavior_of(["13800138000", "13800007001", "13800001002"]) is MAGIC["13800001002"].behavior
    assert behavior_of(["13800138000", "13800007001", "13800008001"]) is deliver_normally


def test_magic_number_is_recognized_in_any_format(caller: Any) -> None:
    answer = caller.v1(PhoneNumbers="+8613800001002")

    assert answer.json()["Code"] == "isv.BLACK_KEY_CONTROL_LIMIT"


def test_delivered_sms_to_a_magic_number_counts_for_flow_control(caller: Any) -> None:
    caller.v1(PhoneNumbers="13800006001")
    answer = caller.v1(PhoneNumbers="13800006001")

    assert answer.json()["Code"] == "isv.BUSINESS_LIMIT_CONTROL"
