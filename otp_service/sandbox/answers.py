"""What the sandbox answers, and the exceptions that end a call early.

An answer is kept as a dict until `render` writes it as JSON or as XML.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from flask import Response

from otp_service.sandbox.xml_text import to_xml
from otp_service.sms.aliyun.protocol.codes import lookup

_JSON = "application/json;charset=utf-8"
_XML = "text/xml;charset=utf-8"
_OK = 200
_TROUBLESHOOT = "https://api.aliyun.com/troubleshoot"
_BUSINESS = ("isv.", "isp.")


@dataclass(frozen=True)
class Answer:
    """A body in the API's own words, and its HTTP status."""

    fields: Mapping[str, object]
    status: int = _OK


@dataclass(frozen=True)
class RawAnswer:
    """A body that is not of the API at all, as a broken gateway would send it."""

    status: int
    body: str
    content_type: str = "text/html;charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """The call is refused with an error *code* of Aliyun and its *message*."""

    def __init__(self, code: str, message: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.message = lookup(code).message if message is None else message


class Dropped(Exception):
    """The connection ends without an answer: in order, or with a reset."""

    def __init__(self, *, resets: bool = False) -> None:
        super().__init__("reset" if resets else "closed")
        self.resets = resets


def new_request_id() -> str:
    """Draw a request id in Aliyun's spelling."""
    return str(uuid.uuid4()).upper()


def accepted(fields: Mapping[str, object]) -> Answer:
    """Answer that the call succeeded."""
    return Answer({"Message": "OK", "Code": "OK", **fields})


def refusal(error: Refused, request_id: str, host: str) -> Answer:
    """Answer with an error: the SMS service's own, or the gateway's with its extras."""
    fields = {"Message": error.message, "Code": error.code}
    if not is_business(error.code):
        query = {"q": error.code, "product": "Dysmsapi", "requestId": request_id}
        fields["HostId"] = host
        fields["Recommend"] = f"{_TROUBLESHOOT}?{urlencode(query)}"
    return Answer(fields, lookup(error.code).http_status)


def is_business(code: str) -> bool:
    """Whether a code is the SMS service's own, not the gateway's."""
    return code.startswith(_BUSINESS)


def render(answer: Answer | RawAnswer, request_id: str, xml_action: str | None = None) -> Response:
    """Write an answer for the wire: as JSON, or as the XML of an action that is named."""
    if isinstance(answer, RawAnswer):
        return Response(
            answer.body,
            answer.status,
            answer.headers,
            content_type=answer.content_type,
        )
    fields = {**answer.fields, "RequestId": request_id}
    headers = {"x-acs-request-id": request_id}
    if xml_action is None:
        body = json.dumps(fields, ensure_ascii=False)
        return Response(body, answer.status, headers, content_type=_JSON)
    root = f"{xml_action}Response" if answer.status == _OK else "Error"
    return Response(to_xml(root, fields), answer.status, headers, content_type=_XML)
