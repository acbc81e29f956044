"""Aliyun's message queue service (MNS): request signatures, error codes, and the queues of the SMS service.

https://help.aliyun.com/document_detail/27487.html

The SMS service puts a `SmsReport` for every SMS and a `SmsUp` for every inbound SMS into a queue of the
customer's: https://help.aliyun.com/document_detail/101508.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

VERSION = "2015-06-06"
"""The value of `x-mns-version`."""

MAX_WAIT_SECONDS = 30
"""The maximum of `waitseconds`."""

MAX_BATCH = 16
"""The maximum number of messages that one call receives or deletes."""

XMLNS = "http://mns.aliyuncs.com/doc/v1/"
"""The namespace of every XML document."""

_AUTHORIZATION = re.compile(r"MNS ([^:\s]*):(\S*)")


class MessageType(StrEnum):
    """The content of a queue of the SMS service; the names of the queues end with it."""

    SMS_REPORT = "SmsReport"
    """Delivery reports."""
    SMS_UP = "SmsUp"
    """Inbound SMS."""


def string_to_sign(method: str, headers: Mapping[str, str], resource: str) -> str:
    """Return the text that a call signs.

    Args:
        method: The HTTP method.
        headers: The headers under lower-case names. Only `date`, `content-md5`, `content-type`
            (empty when missing) and every `x-mns-*` are used.
        resource: Path and query exactly as sent.
    """
    named = sorted(name for name in headers if name.startswith("x-mns-"))
    lines = [method, headers.get("content-md5", ""), headers.get("content-type", ""), headers.get("date", "")]
    lines += [f"{name}:{headers[name]}" for name in named]
    return "\n".join([*lines, resource])


def sign(secret: str, text: str) -> str:
    """Sign the result of `string_to_sign`; the key is the unmodified secret."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), hashlib.sha1)).decode()


def authorization(access_key_id: str, mac: str) -> str:
    """Return the `Authorization` header; `parse_authorization` parses it."""
    return f"MNS {access_key_id}:{mac}"


@dataclass(frozen=True)
class Authorization:
    """The content of an MNS `Authorization` header."""

    access_key_id: str
    mac: str


def parse_authorization(header: str) -> Authorization:
    """Parse the output of `authorization`.

    Raises:
        ValueError: *header* does not have that form.
    """
    match = _AUTHORIZATION.fullmatch(header)
    if match is None:
        raise ValueError("not an MNS authorization")
    return Authorization(*match.groups())


@dataclass(frozen=True)
class MnsErrorCode:
    """One error code, its HTTP status and Aliyun's message."""

    code: str
    http_status: int
    message: str


_CODES = (
    MnsErrorCode("MissingAuthorizationHeader", 400, "Authorization header is required."),
    MnsErrorCode("InvalidAuthorizationHeader", 400, "The Authorization header format is invalid."),
    MnsErrorCode("MissingDateHeader", 400, "Date header is required."),
    MnsErrorCode("InvalidDateHeader", 400, "The Date header format is invalid."),
    MnsErrorCode("InvalidArgument", 400, "The value of waitseconds should between 0 and 30 seconds/bytes."),
    MnsErrorCode("MissingReceiptHandle", 400, "ReceiptHandle is required."),
    MnsErrorCode("ReceiptHandleError", 400, "The receipt handle you provide is not valid."),
    MnsErrorCode(
        "AccessDenied",
        403,
        "The OwnerId that your Access Key Id associated to is forbidden for this operation.",
    ),
    MnsErrorCode("InvalidAccessKeyId", 403, "The AccessKey Id you provided is not exist."),
    MnsErrorCode(
        "SignatureDoesNotMatch",
        403,
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
    ),
    MnsErrorCode("InvalidSecurityToken", 403, "The security token you provided is invalid."),
    MnsErrorCode("SecurityTokenExpired", 403, "The security token you provided has expired."),
    MnsErrorCode("MessageNotExist", 404, "Message not exist."),
    MnsErrorCode("QueueNotExist", 404, "The queue name you provided is not exist."),
    MnsErrorCode("TimeExpired", 408, "The http request you sent is expired."),
)

MNS_CODES = {row.code: row for row in _CODES}
"""The error codes that a reader of a queue can get: https://help.aliyun.com/document_detail/27501.html

That list lacks the two codes about security tokens. They are spelled as in OSS.
"""
