"""What the sandbox answers, and the exceptions that end a call early.

An answer is kept as a dict until `render` writes it, so that the XML which Aliyun
sends without `Format=JSON` has one place to go to.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from flask import Response

from otp_service.aliyun.codes import lookup

_JSON = "application/json;charset=utf-8"
_TROUBLESHOOT = "https://api.aliyun.com/troubleshoot"
_BUSINESS = ("isv.", "isp.")


@dataclass(frozen=True)
class Answer:
    """A body in the API's own words, and its HTTP status."""

    fields: Mapping[str, str]
    status: int = 200


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
    """The connection ends without an answer."""


def new_request_id() -> str:
    """Draw a request id in Aliyun's spelling."""
    return str(uuid.uuid4()).upper()


def accepted(**fields: str) -> Answer:
    """Answer that the call succeeded."""
    return Answer({"Message": "OK", "Code": "OK", **fields})


def refusal(error: Refused, request_id: str, host: str) -> Answer:
    """Answer with an error: the SMS service's own, or the gateway's with its extras."""
    fields = {"Message": error.message, "Code": error.code}
    if not error.code.startswith(_BUSINESS):
        query = {"q": error.code, "product": "Dysmsapi", "requestId": request_id}
        fields["HostId"] = host
        fields["Recommend"] = f"{_TROUBLESHOOT}?{urlencode(query)}"
    return Answer(fields, lookup(error.code).http_status)


def render(answer: Answer | RawAnswer, request_id: str) -> Response:
    """Write an answer for the wire."""
    if isinstance(answer, RawAnswer):
        return Response(
            answer.body,
            answer.status,
            answer.headers,
            content_type=answer.content_type,
        )
    body = json.dumps({**answer.fields, "RequestId": request_id}, ensure_ascii=False)
    headers = {"x-acs-request-id": request_id}
    return Response(body, answer.status, headers, content_type=_JSON)
