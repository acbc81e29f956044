"""Responses of the API as JSON and XML, and the exceptions that end a request early."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from flask import Response

from otp_service.sms.aliyun.protocol.codes import lookup

_JSON = "application/json;charset=utf-8"
_XML = "text/xml;charset=utf-8"
_OK = 200
_TROUBLESHOOT = "https://api.aliyun.com/troubleshoot"
_BUSINESS_PREFIXES = ("isv.", "isp.")
#: Characters that XML 1.0 cannot represent, including lone surrogates.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class ApiResponse:
    """The fields of a response, named as in the API, and its HTTP status."""

    fields: Mapping[str, object]
    status: int = _OK


@dataclass(frozen=True)
class RawResponse:
    """A response that is not in the API's format, such as a broken gateway would send."""

    status: int
    body: str
    content_type: str = "text/html;charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """The request is refused with one of Alibaba Cloud's error codes and its *message*."""

    def __init__(self, code: str, message: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.message = lookup(code).message if message is None else message


class ConnectionDropped(Exception):
    """The connection ends without a response: it is closed, or reset if *reset* is set."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__("reset" if reset else "closed")
        self.reset = reset


def new_request_id() -> str:
    """Generate a request id in Alibaba Cloud's format."""
    return str(uuid.uuid4()).upper()


def success(fields: Mapping[str, object]) -> ApiResponse:
    """Create the response to a successful request."""
    return ApiResponse({"Message": "OK", "Code": "OK", **fields})


def error_response(error: ApiError, request_id: str, host: str) -> ApiResponse:
    """Create an error response. Errors of the gateway have two more fields than those of the SMS service."""
    fields = {"Message": error.message, "Code": error.code}
    if not is_business_error(error.code):
        query = {"q": error.code, "product": "Dysmsapi", "requestId": request_id}
        fields["HostId"] = host
        fields["Recommend"] = f"{_TROUBLESHOOT}?{urlencode(query)}"
    return ApiResponse(fields, lookup(error.code).http_status)


def is_business_error(code: str) -> bool:
    """Return whether an error code comes from the SMS service rather than from the gateway."""
    return code.startswith(_BUSINESS_PREFIXES)


def render(response: ApiResponse | RawResponse, request_id: str, xml_action: str | None = None) -> Response:
    """Render a response as JSON, or as the XML response of *xml_action* if that is given."""
    if isinstance(response, RawResponse):
        return Response(response.body, response.status, response.headers, content_type=response.content_type)
    fields = {**response.fields, "RequestId": request_id}
    headers = {"x-acs-request-id": request_id}
    if xml_action is None:
        body = json.dumps(fields, ensure_ascii=False)
        return Response(body, response.status, headers, content_type=_JSON)
    root = f"{xml_action}Response" if response.status == _OK else "Error"
    return Response(to_xml(root, fields), response.status, headers, content_type=_XML)


def to_xml(root: str, fields: Mapping[str, object], namespace: str = "") -> str:
    """Serialize *fields* as children of *root*. A mapping becomes nested elements, a list repeated ones."""
    attribute = f' xmlns="{namespace}"' if namespace else ""
    return f"<?xml version='1.0' encoding='UTF-8'?><{root}{attribute}>{_children(fields)}</{root}>"


def _children(fields: Mapping[str, object]) -> str:
    return "".join(_element(name, value) for name, value in fields.items())


def _element(name: str, value: object) -> str:
    if isinstance(value, list | tuple):
        return "".join(_element(name, item) for item in value)
    inner = _children(value) if isinstance(value, Mapping) else _text(value)
    return f"<{name}>{inner}</{name}>"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(_NOT_XML.sub("", str(value)))
