from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from sandbox.xml_parsing import parse_xml
from werkzeug.http import http_date, parse_date

from otp_service.sandbox import SandboxConfig
from otp_service.sandbox.config import DEFAULT_QUEUE_PREFIX
from otp_service.sandbox.credentials import Credentials, StsKey
from otp_service.sandbox.reports.mns_credentials import MnsError, MnsRequest, MnsVerifier, QueueKeys
from otp_service.sms.aliyun.protocol import mns

_FILE = Path(__file__).parents[1] / "data" / "aliyun_vectors.json"
VECTORS = [v for v in json.loads(_FILE.read_text("utf-8")) if v["scheme"] == "MNS"]
NAMESPACE = "{http://mns.aliyuncs.com/doc/v1/}"
REPORTS = f"/queues/{DEFAULT_QUEUE_PREFIX}SmsReport/messages"
REPLIES = f"/queues/{DEFAULT_QUEUE_PREFIX}SmsUp/messages"


@pytest.fixture
def config(config: SandboxConfig) -> SandboxConfig:
    return replace(config, queue_key_seconds=600.0)


class Consumer:
    """Reads the account's queues with a temporary key."""

    def __init__(self, caller: Any) -> None:
        self.caller = caller
        key = caller.call("QueryTokenForMnsQueue", MessageType="SmsReport").json()["MessageTokenDTO"]
        self.access_key_id, self.secret = key["AccessKeyId"], key["AccessKeySecret"]
        self.security_token = key["SecurityToken"]

    def call(
        self, method: str, resource: str, changes: dict[str, str | None] | None = None, body: str = ""
    ) -> Any:
        date = http_date(self.caller.clock())
        signed = {"date": date, "x-mns-date": date, "x-mns-version": mns.VERSION, "content-type": "text/xml"}
        mac = mns.sign(self.secret, mns.string_to_sign(method, signed, resource))
        sent = {
            **signed,
            "authorization": mns.authorization(self.access_key_id, mac),
            "security-token": self.security_token,
            **(changes or {}),
        }
        return self.caller.raw(method, resource, headers=sent, data=body)

    def body(self, resource: str) -> dict[str, Any]:
        message = self.fields(resource)
        return json.loads(base64.b64decode(message["MessageBody"]))

    def fields(self, resource: str) -> dict[str, str]:
        answer = self.call("GET", resource)
        assert answer.status_code == 200, answer.text
        root = parse_xml(answer.content)
        return {field.tag.removeprefix(NAMESPACE): str(field.text) for field in root}


@pytest.fixture
def consumer(caller: Any) -> Consumer:
    return Consumer(caller)


def _error(answer: requests.Response) -> tuple[str | None, int]:
    root = parse_xml(answer.content)
    assert root.tag == f"{NAMESPACE}Error"
    assert root.findtext(f"{NAMESPACE}Message")
    assert answer.headers["Content-Type"] == "text/xml;charset=utf-8"
    return root.findtext(f"{NAMESPACE}Code"), answer.status_code


def test_key_is_issued(caller: Any) -> None:
    body = caller.call("QueryTokenForMnsQueue", MessageType="SmsUp", QueueName="any").json()

    key = body["MessageTokenDTO"]
    assert body["Code"] == "OK"
    assert key["AccessKeyId"].startswith("STS.")
    assert [key["CreateTime"], key["ExpireTime"]] == ["2026-11-23 16:07:41", "2026-11-23 16:17:41"]


def test_key_is_issued_to_a_v3_request(caller: Any) -> None:
    body = caller.v3(Action="QueryTokenForMnsQueue", MessageType="SmsReport").json()

    assert body["MessageTokenDTO"]["SecurityToken"]


@pytest.mark.parametrize(
    ("code", "wanted"), [("MissingMessageType", None), ("isv.INVALID_PARAMETERS", "VoiceReport")]
)
def test_key_for_an_unknown_queue_is_refused(caller: Any, code: str, wanted: str | None) -> None:
    assert caller.call("QueryTokenForMnsQueue", MessageType=wanted).json()["Code"] == code


def test_report_of_an_sms_is_received(caller: Any, consumer: Consumer) -> None:
    biz_id = caller.v1(OutId="out").json()["BizId"]

    assert consumer.body(REPORTS) == {
        "phone_number": "13800138000",
        "send_time": "2026-11-23 16:07:41",
        "report_time": "2026-11-23 16:07:41",
        "success": True,
        "err_code": "DELIVERED",
        "err_msg": "用户接收成功",
        "sms_size": "1",
        "biz_id": biz_id,
        "out_id": "out",
    }


def test_report_of_a_failure_contains_the_reason(caller: Any, consumer: Consumer) -> None:
    caller.v1(PhoneNumbers="13800007003")

    report = consumer.body(REPORTS)
    assert (report["success"], report["err_code"], report["err_msg"]) == (
        False,
        "MOBILE_IN_BLACK",
        "黑名单号码",
    )


def test_number_without_a_result_has_no_report(caller: Any, consumer: Consumer) -> None:
    caller.v1(PhoneNumbers="13800007011")

    assert _error(consumer.call("GET", REPORTS)) == ("MessageNotExist", 404)


def test_number_that_is_reported_twice_has_two_reports(caller: Any, consumer: Consumer) -> None:
    caller.v1(PhoneNumbers="13800007013")

    assert consumer.body(REPORTS) == consumer.body(REPORTS)
    assert consumer.call("GET", REPORTS).status_code == 404


def test_reply_is_received(caller: Any, consumer: Consumer) -> None:
    caller.v1(SmsUpExtendCode="123")
    sent = caller.raw("POST", "/inbox/reply", json={"phone": "13800138000", "content": "TD"})

    reply = consumer.body(REPLIES)
    assert reply == sent.json()
    assert reply == {
        "phone_number": "13800138000",
        "content": "TD",
        "send_time": "2026-11-23 16:07:41",
        "dest_code": "10690000123",
        "sequence_id": reply["sequence_id"],
        "sign_name": "云通信测试",
    }


def test_message_has_the_fields_of_mns(caller: Any, consumer: Consumer) -> None:
    caller.v1()
    message = consumer.fields(REPORTS)

    digest = hashlib.md5(message["MessageBody"].encode(), usedforsecurity=False).hexdigest()
    assert message["MessageBodyMD5"] == digest.upper()
    assert int(message["NextVisibleTime"]) - int(message["FirstDequeueTime"]) == 30_000
    assert (message["DequeueCount"], message["Priority"]) == ("1", "8")


def test_message_is_deleted_by_its_unencoded_handle(caller: Any, consumer: Consumer, clock: Any) -> None:
    caller.v1()
    handle = consumer.fields(REPORTS)["ReceiptHandle"]
    deleted = consumer.call("DELETE", f"{REPORTS}?ReceiptHandle={handle}")
    again = consumer.call("DELETE", f"{REPORTS}?ReceiptHandle={handle}")
    clock.advance(seconds=31)

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert _error(again) == ("MessageNotExist", 404)
    assert _error(consumer.call("GET", REPORTS)) == ("MessageNotExist", 404)


def test_message_that_is_not_deleted_is_received_again(caller: Any, consumer: Consumer, clock: Any) -> None:
    caller.v1()
    first = consumer.body(REPORTS)
    clock.advance(seconds=30)

    assert consumer.body(REPORTS) == first


def test_handle_may_be_encoded(caller: Any, consumer: Consumer) -> None:
    caller.v1()
    handle = consumer.fields(REPORTS)["ReceiptHandle"].replace("=", "%3D")

    assert consumer.call("DELETE", f"{REPORTS}?ReceiptHandle={handle}").status_code == 204


def _batch(consumer: Consumer, most: int) -> list[dict[str, str]]:
    answer = consumer.call("GET", f"{REPORTS}?numOfMessages={most}&waitseconds=0")
    assert answer.status_code == 200, answer.text
    root = parse_xml(answer.content)
    assert root.tag == f"{NAMESPACE}Messages"
    assert {message.tag for message in root} == {f"{NAMESPACE}Message"}
    return [{field.tag.removeprefix(NAMESPACE): str(field.text) for field in message} for message in root]


def _delete(consumer: Consumer, *handles: str) -> requests.Response:
    named = "".join(f"<ReceiptHandle>{handle}</ReceiptHandle>" for handle in handles)
    body = f'<?xml version="1.0"?><ReceiptHandles xmlns="{mns.XMLNS}">{named}</ReceiptHandles>'
    return consumer.call("DELETE", REPORTS, body=body)


def test_several_messages_are_received_and_deleted_at_once(
    caller: Any, consumer: Consumer, clock: Any
) -> None:
    for number in ("13900000001", "13900000002", "13900000003"):
        caller.v1(PhoneNumbers=number)
    first, rest = _batch(consumer, 2), _batch(consumer, 16)
    deleted = _delete(consumer, *(message["ReceiptHandle"] for message in first))
    clock.advance(seconds=31)

    assert [len(first), len(rest)] == [2, 1]
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert [message["MessageId"] for message in _batch(consumer, 16)] == [rest[0]["MessageId"]]


def test_batch_of_one_has_the_format_of_a_batch(caller: Any, consumer: Consumer) -> None:
    caller.v1()

    assert len(_batch(consumer, 1)) == 1
    assert _error(consumer.call("GET", f"{REPORTS}?numOfMessages=16")) == ("MessageNotExist", 404)


def test_batch_delete_lists_messages_that_no_longer_exist(
    caller: Any, consumer: Consumer, clock: Any
) -> None:
    for number in ("13900000001", "13900000002"):
        caller.v1(PhoneNumbers=number)
    first, second = (message["ReceiptHandle"] for message in _batch(consumer, 16))
    _delete(consumer, first)
    again = _delete(consumer, first, second)
    root = parse_xml(again.content)
    clock.advance(seconds=31)

    assert (again.status_code, root.tag) == (404, f"{NAMESPACE}Errors")
    (error,) = root
    assert error.findtext(f"{NAMESPACE}ErrorCode") == "MessageNotExist"
    assert error.findtext(f"{NAMESPACE}ReceiptHandle") == first
    assert consumer.call("GET", REPORTS).status_code == 404


def test_batch_delete_takes_sixteen_messages_at_most(consumer: Consumer) -> None:
    assert _error(_delete(consumer, *("1-a==",) * 17)) == ("InvalidArgument", 400)


def test_long_poll_waits_for_a_report(caller: Any, consumer: Consumer) -> None:
    assert consumer.call("GET", f"{REPORTS}?waitseconds=1").status_code == 404
    caller.v1()

    assert consumer.call("GET", f"{REPORTS}?waitseconds=30").status_code == 200


@pytest.mark.parametrize(
    ("code", "status", "method", "resource"),
    [
        ("QueueNotExist", 404, "GET", "/queues/Alicom-Queue-1-SmsReport/messages"),
        ("InvalidArgument", 400, "GET", f"{REPORTS}?waitseconds=31"),
        ("InvalidArgument", 400, "GET", f"{REPORTS}?waitseconds=x"),
        ("InvalidArgument", 400, "GET", f"{REPORTS}?numOfMessages=0"),
        ("InvalidArgument", 400, "GET", f"{REPORTS}?numOfMessages=17"),
        ("MissingReceiptHandle", 400, "DELETE", REPORTS),
        ("MissingReceiptHandle", 400, "DELETE", f"{REPORTS}?ReceiptHandle="),
        ("MessageNotExist", 404, "DELETE", f"{REPORTS}?ReceiptHandle=x"),
    ],
)
def test_invalid_request_is_refused(
    consumer: Consumer, code: str, status: int, method: str, resource: str
) -> None:
    assert _error(consumer.call(method, resource)) == (code, status)


@pytest.mark.parametrize(
    ("code", "status", "changes"),
    [
        ("MissingAuthorizationHeader", 400, {"authorization": None}),
        ("InvalidAuthorizationHeader", 400, {"authorization": "Bearer x"}),
        ("MissingDateHeader", 400, {"date": None}),
        ("InvalidDateHeader", 400, {"date": "yesterday"}),
        ("TimeExpired", 408, {"date": "Mon, 23 Nov 2026 07:52:40 GMT"}),
        ("InvalidAccessKeyId", 403, {"authorization": "MNS unknownId:x"}),
        ("AccessDenied", 403, {"authorization": "MNS testId:x"}),
        ("InvalidSecurityToken", 403, {"security-token": None}),
        ("InvalidSecurityToken", 403, {"security-token": "x"}),
        ("SignatureDoesNotMatch", 403, {"x-mns-version": "2015-06-07"}),
        ("SignatureDoesNotMatch", 403, {"x-mns-extra": "1"}),
        ("SignatureDoesNotMatch", 403, {"content-type": "text/plain"}),
        ("SignatureDoesNotMatch", 403, {"content-md5": "x"}),
        ("SignatureDoesNotMatch", 403, {"date": "Mon, 23 Nov 2026 08:07:42 GMT"}),
    ],
)
def test_request_is_authenticated(
    caller: Any, consumer: Consumer, code: str, status: int, changes: dict[str, str | None]
) -> None:
    caller.v1()

    assert _error(consumer.call("GET", REPORTS, changes)) == (code, status)
    assert consumer.call("GET", REPORTS).status_code == 200


def test_key_expires(caller: Any, consumer: Consumer, clock: Any) -> None:
    clock.advance(minutes=10)

    assert _error(consumer.call("GET", REPORTS)) == ("SecurityTokenExpired", 403)
    assert Consumer(caller).call("GET", REPORTS).status_code == 404


def test_key_has_no_access_to_the_api(caller: Any, consumer: Consumer) -> None:
    answer = caller.v1(AccessKeyId=consumer.access_key_id, secret=consumer.secret)

    assert answer.json()["Code"] == "InvalidAccessKeyId.NotFound"


def test_oldest_key_is_dropped_first(clock: Any) -> None:
    keys = QueueKeys(600.0, max_keys=2)
    ids = [keys.issue(clock())[0] for _ in range(3)]

    assert [keys.find(access_key_id) is None for access_key_id in ids] == [True, False, False]


def _verifier(vector: dict[str, Any]) -> MnsVerifier:
    keys = QueueKeys(600.0)
    keys._keys["STS.testId"] = StsKey(vector["access_key_secret"], vector["headers"]["security-token"])
    moment = parse_date(vector["headers"]["date"])
    assert moment
    return MnsVerifier(keys, Credentials({}), lambda: moment)


def _call(vector: dict[str, Any]) -> MnsRequest:
    headers = {**vector["headers"], "authorization": vector["authorization"]}
    return MnsRequest(vector["method"], vector["target"], headers)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_captured_request_passes(vector: dict[str, Any]) -> None:
    _verifier(vector).verify(_call(vector))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_every_change_of_a_signed_value_is_refused(vector: dict[str, Any]) -> None:
    call = _call(vector)
    signed = [name for name in call.headers if name != "content-length"]
    spoiled = [replace(call, headers={**call.headers, name: call.headers[name] + "x"}) for name in signed]
    spoiled += [replace(call, resource=call.resource + "x"), replace(call, method="PUT")]
    for wrong in spoiled:
        with pytest.raises(MnsError):
            _verifier(vector).verify(wrong)
