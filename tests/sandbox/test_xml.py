from __future__ import annotations

from typing import Any

import pytest
from sandbox.xml_parsing import parse_xml

from otp_service.sandbox.api.responses import to_xml


@pytest.mark.parametrize("xml_format", [None, "", "XML", "xml"])
def test_response_is_xml_unless_json_is_requested(caller: Any, xml_format: str | None) -> None:
    answer = caller.v1(Format=xml_format)

    root = parse_xml(answer.content)
    assert answer.headers["Content-Type"] == "text/xml;charset=utf-8"
    assert answer.text.startswith("<?xml version='1.0' encoding='UTF-8'?><SendSmsResponse>")
    assert [root.findtext("Code"), root.findtext("Message")] == ["OK", "OK"]
    assert root.findtext("RequestId") == answer.headers["x-acs-request-id"]


@pytest.mark.parametrize("xml_format", ["JSON", "json", "Json"])
def test_format_json_is_case_insensitive(caller: Any, xml_format: str) -> None:
    assert caller.v1(Format=xml_format).json()["Code"] == "OK"


def test_business_error_has_the_response_element_in_xml(caller: Any) -> None:
    root = parse_xml(caller.v1(Format="XML", SignName="x").content)

    assert [root.tag, root.findtext("Code")] == ["SendSmsResponse", "isv.SMS_SIGNATURE_ILLEGAL"]


def test_gateway_error_has_the_error_element_in_xml(caller: Any) -> None:
    answer = caller.v1(Format="XML", secret="wrong")

    root = parse_xml(answer.content)
    assert answer.status_code == 400
    assert [root.tag, root.findtext("Code")] == ["Error", "SignatureDoesNotMatch"]
    assert "server string to sign is:POST&%2F&" in str(root.findtext("Message"))
    assert root.findtext("HostId") == caller.url.removeprefix("http://")


def test_list_repeats_its_element_in_xml(caller: Any) -> None:
    caller.v1(PhoneNumbers="13800138000", OutId="a<b>&c")
    params = {"PhoneNumber": "13800138000", "SendDate": "20261123", "PageSize": "9", "CurrentPage": "1"}
    root = parse_xml(caller.call("QuerySendDetails", Format=None, **params).content)

    assert [row.findtext("OutId") for row in root.iter("SmsSendDetailDTO")] == ["a<b>&c"]


def test_v3_response_is_json_unless_xml_is_accepted(caller: Any) -> None:
    assert caller.v3(Format=None).json()["Code"] == "OK"
    assert caller.v3({"Accept": "application/xml"}, SignName="x").text.startswith("<?xml ")


def test_values_are_converted_to_xml() -> None:
    fields = {"A": True, "B": [{"C": 1}, {"C": "\0<\ud800"}], "D": {}, "E": []}

    text = to_xml("R", fields, "urn:x")

    assert text == (
        "<?xml version='1.0' encoding='UTF-8'?>"
        '<R xmlns="urn:x"><A>true</A><B><C>1</C></B><B><C>&lt;</C></B><D></D></R>'
    )
