"""How calls to Aliyun's message queue (MNS) are signed, and its queues of SMS reports; touches nothing.

https://help.aliyun.com/document_detail/27487.html

The SMS service puts a `SmsReport` for every SMS and a `SmsUp` for every reply into a queue
of the customer's: https://help.aliyun.com/document_detail/101508.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

#: What `x-mns-version` says.
VERSION = "2015-06-06"

#: The account that owns the SMS service's queues of all its customers.
SMS_ACCOUNT_ID = "1943695596114318"

#: The longest `waitseconds`.
MAX_WAIT_SECONDS = 30

#: The most messages that one call receives or deletes.
MAX_BATCH = 16

#: The namespace of every XML document.
XMLNS = "http://mns.aliyuncs.com/doc/v1/"

_AUTHORIZATION = re.compile(r"MNS ([^:\s]*):(\S*)")


class MessageType(StrEnum):
    """What a queue of the SMS service holds; the names of its queues end with it."""

    #: What became of an SMS.
    SMS_REPORT = "SmsReport"
    #: An SMS from a phone to us.
    SMS_UP = "SmsUp"


def content_md5(body: bytes) -> str:
    """Write `Content-MD5` as Aliyun's own SDKs do: Base64 over the digest's *hex text*."""
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return base64.b64encode(digest.encode()).decode()


def string_to_sign(method: str, headers: Mapping[str, str], resource: str) -> str:
    """Build the text that a call signs.

    Args:
        method: The HTTP method.
        headers: Under lower-case names; read are `date`, `content-md5`, `content-type`
            (empty when missing) and every `x-mns-*`.
        resource: Path and query exactly as they go over the wire.
    """
    named = sorted(name for name in headers if name.startswith("x-mns-"))
    lines = [method, headers.get("content-md5", ""), headers.get("content-type", ""), headers.get("date", "")]
    lines += [f"{name}:{headers[name]}" for name in named]
    return "\n".join([*lines, resource])


def sign(secret: str, text: str) -> str:
    """Sign the result of `string_to_sign`; the key is the secret as it is."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), hashlib.sha1)).decode()


def authorization(access_key_id: str, mac: str) -> str:
    """Write the `Authorization` header; `parse_authorization` reads it."""
    return f"MNS {access_key_id}:{mac}"


@dataclass(frozen=True)
class Authorization:
    """What an `Authorization` header of MNS says."""

    access_key_id: str
    mac: str


def parse_authorization(header: str) -> Authorization:
    """Read an `Authorization` header that `authorization` could have written.

    Raises:
        ValueError: It is not of that form.
    """
    match = _AUTHORIZATION.fullmatch(header)
    if match is None:
        raise ValueError("not an MNS authorization")
    return Authorization(*match.groups())
