"""Helpers of the queue tests: STS keys, messages, and responses of the queue server."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from sms.doubles import ManualClock, RealClock
from sms.wire import Behave, answers, response

from otp_service.sandbox.config import DEFAULT_QUEUE_PREFIX, DEFAULT_SIGN_NAME
from otp_service.services.interfaces import Clock
from otp_service.sms.aliyun.api import AliyunApi
from otp_service.sms.aliyun.mns.queue import MAX_BODY, Queue
from otp_service.sms.aliyun.mns.sts_token import VERSION, StsTokenProvider
from otp_service.sms.aliyun.protocol.mns import MessageType
from otp_service.sms.aliyun.signed_request import AccessKey
from otp_service.sms.http import HttpClient

REPORTS = f"{DEFAULT_QUEUE_PREFIX}SmsReport"
REPLIES = f"{DEFAULT_QUEUE_PREFIX}SmsUp"
XMLNS = "http://mns.aliyuncs.com/doc/v1/"
LATER = "2030-01-01 00:00:00"


def api(url: str, clock: Clock) -> AliyunApi:
    return AliyunApi(
        keys=[AccessKey("testId", "testSecret")],
        version=VERSION,
        endpoint=url,
        http=HttpClient(max_connections=1, connect_seconds=1, read_seconds=2),
        clock=clock,
    )


def key_source(url: str, clock: Clock, name: str = REPORTS) -> StsTokenProvider:
    message_type = MessageType.SMS_UP if name == REPLIES else MessageType.SMS_REPORT
    return StsTokenProvider(api=api(url, clock), message_type=message_type, queue_name=name, clock=clock)


def make_queue(keys_url: str, queue_url: str, clock: Clock | None = None, name: str = REPORTS) -> Queue:
    clock = clock or RealClock()
    return Queue(
        endpoint=queue_url,
        name=name,
        keys=key_source(keys_url, clock, name),
        http=HttpClient(max_connections=1, connect_seconds=1, read_seconds=5, max_body=MAX_BODY),
        clock=clock,
    )


def send_sms(url: str, clock: Clock, numbers: Sequence[str]) -> None:
    """Send an SMS to each of *numbers*; the sandbox then has a report for each."""
    client = api(url, clock)
    for number in numbers:
        params = {
            "PhoneNumbers": number,
            "SignName": DEFAULT_SIGN_NAME,
            "TemplateCode": "SMS_100000001",
            "TemplateParam": '{"code":"123456"}',
            "OutId": number[::-1],
        }
        assert json.loads(client.call("SendSms", params, seconds=5).body)["Code"] == "OK"
    client.close()


def datetime_of(clock: ManualClock) -> datetime:
    """Return the time of *clock* as a datetime, for the sandbox."""
    return datetime.fromtimestamp(clock.now(), UTC)


def key_answer(key_id: str = "STS.1", expires: str = LATER, **changes: object) -> bytes:
    """Return a response with an STS key."""
    key = {"AccessKeyId": key_id, "AccessKeySecret": "s", "SecurityToken": "t", "ExpireTime": expires}
    payload = {"Code": "OK", "RequestId": "R", "MessageTokenDTO": {**key, **changes}}
    return response(json.dumps(payload).encode())


def message_xml(body: bytes | str, handle: str = "1-a==") -> str:
    """Return the XML of one message; bytes are encoded in Base64, text is inserted as it is."""
    text = body if isinstance(body, str) else base64.b64encode(body).decode()
    return (
        f"<Message><MessageId>M</MessageId><ReceiptHandle>{handle}</ReceiptHandle>"
        f"<MessageBody>{text}</MessageBody></Message>"
    )


def messages_xml(*messages: str) -> bytes:
    return f'<?xml version="1.0"?><Messages xmlns="{XMLNS}">{"".join(messages)}</Messages>'.encode()


def error_xml(code: str) -> bytes:
    return f'<?xml version="1.0"?><Error xmlns="{XMLNS}"><Code>{code}</Code></Error>'.encode()


EMPTY = response(error_xml("MessageNotExist"), 404)
DELETED = response(b"", 204)


def answers_in_order(*data: bytes) -> Behave:
    """Respond to the requests with *data* in order, and repeat the last one."""
    behaviors = [answers(response_bytes) for response_bytes in data]

    def behave(connection: object) -> None:
        current = behaviors.pop(0) if len(behaviors) > 1 else behaviors[0]
        current(connection)  # type: ignore[arg-type]

    return behave


class RecordedStop(threading.Event):
    """An Event whose `wait` returns at once and records the time-out. It is set after *limit* waits."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._limit = limit

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0)
        if len(self.waits) >= self._limit:
            self.set()
        return self.is_set()
