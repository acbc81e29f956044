"""The HTTP door of the message queue: receives and deletes messages, in XML.

One at a time: https://help.aliyun.com/document_detail/35136.html and
https://help.aliyun.com/document_detail/35138.html; up to 16 at once:
https://help.aliyun.com/document_detail/35137.html and https://help.aliyun.com/document_detail/35139.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import unquote
from xml.sax.saxutils import unescape

from flask import Blueprint, Response, request

from otp_service.sandbox.answers import new_request_id
from otp_service.sandbox.mns_verifier import MnsCall, MnsRefused, MnsVerifier
from otp_service.sandbox.queue import MessageGone, Queue, Received
from otp_service.sandbox.state import SandboxState
from otp_service.sandbox.xml_text import to_xml
from otp_service.sms.aliyun.protocol.mns import MAX_BATCH, MAX_WAIT_SECONDS, VERSION, XMLNS
from otp_service.sms.aliyun.protocol.mns_codes import MNS_CODES

_XML = "text/xml;charset=utf-8"
_PRIORITY = 8
_HANDLE = re.compile(r"<ReceiptHandle>([^<]+)</ReceiptHandle>")


def mns_blueprint(desk: SandboxState, verifier: MnsVerifier) -> Blueprint:
    """Serve the account's queues at `/queues/…/messages`."""
    blueprint = Blueprint("mns", __name__)

    @blueprint.get("/queues/<name>/messages")
    def receive(name: str) -> Response:
        queue = _open(name)
        wait_seconds = _number("waitseconds", 0, range(MAX_WAIT_SECONDS + 1))
        most = _number("numOfMessages", 1, range(1, MAX_BATCH + 1))
        messages = [_message(received) for received in queue.receive_many(most, wait_seconds)]
        if not messages:
            raise MnsRefused("MessageNotExist")
        if "numOfMessages" in request.args:
            return _xml("Messages", {"Message": messages}, 200)
        return _xml("Message", messages[0], 200)

    @blueprint.delete("/queues/<name>/messages")
    def delete(name: str) -> Response:
        queue = _open(name)
        batch = _HANDLE.findall(request.get_data(as_text=True))
        if batch:
            return _delete_batch(queue, [unescape(handle) for handle in batch])
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


def _number(name: str, default: int, allowed: range) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and int(text[:9]) in allowed):
        raise MnsRefused("InvalidArgument")
    return int(text)


def _delete_batch(queue: Queue, handles: list[str]) -> Response:
    """Delete what is still there, and name the rest."""
    if len(handles) > MAX_BATCH:
        raise MnsRefused("InvalidArgument")
    row = MNS_CODES["MessageNotExist"]
    errors = [
        {"ErrorCode": row.code, "ErrorMessage": row.message, "ReceiptHandle": handle}
        for handle in handles
        if not _deleted(queue, handle)
    ]
    if errors:
        return _xml("Errors", {"Error": errors}, row.http_status)
    return Response(status=204, headers=_headers(new_request_id()))


def _deleted(queue: Queue, handle: str) -> bool:
    try:
        queue.delete(handle)
    except MessageGone:
        return False
    return True


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
    body = to_xml(root, said, XMLNS)
    return Response(body, status, _headers(request_id), content_type=_XML)


def _headers(request_id: str) -> dict[str, str]:
    return {"x-mns-request-id": request_id, "x-mns-version": VERSION}
