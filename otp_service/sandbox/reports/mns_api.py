"""The HTTP API of the queues, and the Dybaseapi action `QueryTokenForMnsQueue` that issues keys to them.

Single messages: https://help.aliyun.com/document_detail/35136.html and
https://help.aliyun.com/document_detail/35138.html; up to 16 at once:
https://help.aliyun.com/document_detail/35137.html and https://help.aliyun.com/document_detail/35139.html;
keys: https://help.aliyun.com/document_detail/101508.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import unquote
from xml.sax.saxutils import unescape

from flask import Blueprint, Response, request

from otp_service.sandbox.api.responses import ApiError, ApiResponse, new_request_id, success, to_xml
from otp_service.sandbox.reports.mns_credentials import MnsError, MnsRequest, MnsVerifier
from otp_service.sandbox.reports.queue import Queue, ReceivedMessage, StaleReceiptHandle
from otp_service.sandbox.state import SandboxState, require_params
from otp_service.sms.aliyun.protocol.mns import (
    MAX_BATCH,
    MAX_WAIT_SECONDS,
    MNS_CODES,
    VERSION,
    XMLNS,
    MessageType,
)
from otp_service.sms.aliyun.protocol.timestamps import format_china

_XML = "text/xml;charset=utf-8"
_PRIORITY = 8
_HANDLE = re.compile(r"<ReceiptHandle>([^<]+)</ReceiptHandle>")


def query_token_for_mns_queue(state: SandboxState, params: Mapping[str, str]) -> ApiResponse:
    """Issue a temporary key for the queue of one message type.

    Raises:
        ApiError: There is no such message type.
    """
    (message_type,) = require_params(params, "MessageType")
    if message_type not in list(MessageType):
        raise ApiError("isv.INVALID_PARAMETERS", "参数格式不正确")
    now = state.clock()
    access_key_id, key = state.queue_keys.issue(now)
    return success(
        {
            "MessageTokenDTO": {
                "AccessKeyId": access_key_id,
                "AccessKeySecret": key.secret,
                "SecurityToken": key.security_token,
                "CreateTime": format_china(now),
                "ExpireTime": format_china(now + timedelta(seconds=state.config.queue_key_seconds)),
            }
        }
    )


def mns_blueprint(state: SandboxState, verifier: MnsVerifier) -> Blueprint:
    """Serve the account's queues at `/queues/…/messages`."""
    blueprint = Blueprint("mns", __name__)

    @blueprint.get("/queues/<name>/messages")
    def receive(name: str) -> Response:
        queue = _authorized_queue(name)
        wait_seconds = _parse_int("waitseconds", 0, range(MAX_WAIT_SECONDS + 1))
        max_messages = _parse_int("numOfMessages", 1, range(1, MAX_BATCH + 1))
        messages = [_message_fields(received) for received in queue.receive(max_messages, wait_seconds)]
        if not messages:
            raise MnsError("MessageNotExist")
        if "numOfMessages" in request.args:
            return _xml_response("Messages", {"Message": messages}, 200)
        return _xml_response("Message", messages[0], 200)

    @blueprint.delete("/queues/<name>/messages")
    def delete(name: str) -> Response:
        queue = _authorized_queue(name)
        batch = _HANDLE.findall(request.get_data(as_text=True))
        if batch:
            return _delete_batch(queue, [unescape(handle) for handle in batch])
        try:
            queue.delete(_receipt_handle())
        except StaleReceiptHandle as error:
            raise MnsError("MessageNotExist") from error
        return Response(status=204, headers=_headers(new_request_id()))

    @blueprint.errorhandler(MnsError)
    def render_error(error: MnsError) -> Response:
        info = error.info
        fields = {"Code": info.code, "Message": info.message, "HostId": f"http://{request.host}"}
        return _xml_response("Error", fields, info.http_status)

    def _authorized_queue(name: str) -> Queue:
        verifier.verify(_mns_request())
        queue = state.reports.queue(name)
        if queue is None:
            raise MnsError("QueueNotExist")
        return queue

    return blueprint


def _mns_request() -> MnsRequest:
    return MnsRequest(
        method=request.method,
        resource=str(request.environ.get("RAW_URI", "")),
        headers={name.lower(): value for name, value in request.headers.items()},
    )


def _parse_int(name: str, default: int, allowed: range) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and int(text[:9]) in allowed):
        raise MnsError("InvalidArgument")
    return int(text)


def _delete_batch(queue: Queue, handles: list[str]) -> Response:
    """Delete the messages that still exist, and list the handles of the others."""
    if len(handles) > MAX_BATCH:
        raise MnsError("InvalidArgument")
    info = MNS_CODES["MessageNotExist"]
    errors = [
        {"ErrorCode": info.code, "ErrorMessage": info.message, "ReceiptHandle": handle}
        for handle in handles
        if not _delete_if_current(queue, handle)
    ]
    if errors:
        return _xml_response("Errors", {"Error": errors}, info.http_status)
    return Response(status=204, headers=_headers(new_request_id()))


def _delete_if_current(queue: Queue, handle: str) -> bool:
    try:
        queue.delete(handle)
    except StaleReceiptHandle:
        return False
    return True


def _receipt_handle() -> str:
    """Read the receipt handle from the raw query, because Alibaba Cloud's own SDKs do not encode it."""
    query = str(request.environ.get("RAW_URI", "")).partition("?")[2]
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name == "ReceiptHandle" and value:
            return unquote(value)
    raise MnsError("MissingReceiptHandle")


def _message_fields(received: ReceivedMessage) -> dict[str, object]:
    body = received.body.encode()
    return {
        "MessageId": received.message_id,
        "ReceiptHandle": received.receipt_handle,
        "MessageBodyMD5": hashlib.md5(body, usedforsecurity=False).hexdigest().upper(),
        "MessageBody": received.body,
        "EnqueueTime": _milliseconds(received.enqueued_at),
        "NextVisibleTime": _milliseconds(received.next_visible_at),
        "FirstDequeueTime": _milliseconds(received.first_received_at),
        "DequeueCount": received.receive_count,
        "Priority": _PRIORITY,
    }


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _xml_response(root: str, fields: Mapping[str, object], status: int) -> Response:
    request_id = new_request_id()
    shown = {**fields, "RequestId": request_id} if root == "Error" else fields
    body = to_xml(root, shown, XMLNS)
    return Response(body, status, _headers(request_id), content_type=_XML)


def _headers(request_id: str) -> dict[str, str]:
    return {"x-mns-request-id": request_id, "x-mns-version": VERSION}
