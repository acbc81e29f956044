"""The HTTP door of the message queue: receives and deletes messages, in XML.

https://help.aliyun.com/document_detail/35136.html and https://help.aliyun.com/document_detail/35138.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import unquote

from flask import Blueprint, Response, request

from otp_service.aliyun.mns import MAX_WAIT_SECONDS, VERSION
from otp_service.sandbox.answers import new_request_id
from otp_service.sandbox.desk import Desk
from otp_service.sandbox.mns_verifier import MnsCall, MnsRefused, MnsVerifier
from otp_service.sandbox.queue import MessageGone, Queue, Received
from otp_service.sandbox.xml_text import to_xml

_XMLNS = "http://mns.aliyuncs.com/doc/v1/"
_XML = "text/xml;charset=utf-8"
_PRIORITY = 8


def mns_blueprint(desk: Desk, verifier: MnsVerifier) -> Blueprint:
    """Serve the account's queues at `/queues/…/messages`."""
    blueprint = Blueprint("mns", __name__)

    @blueprint.get("/queues/<name>/messages")
    def receive(name: str) -> Response:
        queue = _open(name)
        received = queue.receive(_wait_seconds(request.args.get("waitseconds", "0")))
        if received is None:
            raise MnsRefused("MessageNotExist")
        return _xml("Message", _message(received), 200)

    @blueprint.delete("/queues/<name>/messages")
    def delete(name: str) -> Response:
        queue = _open(name)
        try:
            queue.delete(_handle())
        except MessageGone as error:
            raise MnsRefused("MessageNotExist") from error
        return Response(status=204, headers=_headers(new_request_id()))

    @blueprint.errorhandler(MnsRefused)
    def refuse(error: MnsRefused) -> Response:
        fields = {"Code": error.row.code, "Message": error.row.message, "HostId": f"http://{request.host}"}
        return _xml("Error", fields, error.row.http_status)

    def _open(name: str) -> Queue:
        verifier.verify(_call())
        queue = desk.reports.queue(name)
        if queue is None:
            raise MnsRefused("QueueNotExist")
        return queue

    return blueprint


def _call() -> MnsCall:
    return MnsCall(
        method=request.method,
        resource=str(request.environ.get("RAW_URI", "")),
        headers={name.lower(): value for name, value in request.headers.items()},
    )


def _wait_seconds(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text[:9]) <= MAX_WAIT_SECONDS):
        raise MnsRefused("InvalidArgument")
    return int(text)


def _handle() -> str:
    """Read the handle from the raw query: Aliyun's own SDKs do not encode it."""
    query = str(request.environ.get("RAW_URI", "")).partition("?")[2]
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name == "ReceiptHandle" and value:
            return unquote(value)
    raise MnsRefused("MissingReceiptHandle")


def _message(received: Received) -> dict[str, object]:
    body = received.body.encode()
    return {
        "MessageId": received.message_id,
        "ReceiptHandle": received.handle,
        "MessageBodyMD5": hashlib.md5(body, usedforsecurity=False).hexdigest().upper(),
        "MessageBody": received.body,
        "EnqueueTime": _milliseconds(received.enqueued_at),
        "NextVisibleTime": _milliseconds(received.next_visible_at),
        "FirstDequeueTime": _milliseconds(received.first_received_at),
        "DequeueCount": received.times_received,
        "Priority": _PRIORITY,
    }


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _xml(root: str, fields: Mapping[str, object], status: int) -> Response:
    request_id = new_request_id()
    said = {**fields, "RequestId": request_id} if root == "Error" else fields
    body = to_xml(root, said, _XMLNS)
    return Response(body, status, _headers(request_id), content_type=_XML)


def _headers(request_id: str) -> dict[str, str]:
    return {"x-mns-request-id": request_id, "x-mns-version": VERSION}
