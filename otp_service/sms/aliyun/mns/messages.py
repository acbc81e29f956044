"""The messages and errors of a queue, and their XML.

XML can define entities of entities, so that a kilobyte expands to gigabytes, or include local files. Both
need a document type, which Aliyun's responses never have: a response with one is rejected before it is
parsed. The text is decoded here, so no other encoding can hide a document type. The HTTP client limits its
size.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from otp_service.sms.aliyun.protocol.mns import XMLNS

_DOCUMENT_TYPE = "<!DOCTYPE"
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")


class QueueError(Exception):
    """A call failed and is repeated later. *call* is `key`, `receive` or `delete`.

    *code* is Aliyun's, or a lower-case name of ours. It never contains other text from Aliyun.
    """

    def __init__(self, call: str, code: str) -> None:
        super().__init__(f"{call}: {code}")
        self.call = call
        self.code = code


class BadXml(ValueError):
    """A response that no queue sends."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message; *handle* deletes it while it is invisible to other consumers."""

    handle: str = field(repr=False)
    body: bytes = field(repr=False)


def read_messages(body: bytes) -> list[Message]:
    """Parse the response to a receive, without messages that lack a handle: they cannot be deleted.

    Raises:
        BadXml: *body* is not such a response, or contains no message.
    """
    root = _parse(body)
    found = [
        (_text(node, "ReceiptHandle"), _text(node, "MessageBody")) for node in root.findall("{*}Message")
    ]
    messages = [Message(handle, _decoded(text)) for handle, text in found if handle]
    if not messages:
        raise BadXml("no message")
    return messages


def read_error_code(body: bytes) -> str:
    """Return the code of an error response, of its first error; empty if it cannot be parsed."""
    try:
        root = _parse(body)
    except BadXml:
        return ""
    code = _text(root, "Code") or next((_text(node, "ErrorCode") for node in root.findall("{*}Error")), "")
    return code if _CODE.fullmatch(code) else ""


def write_handles(handles: Iterable[str]) -> bytes:
    """Return the body of a delete."""
    elements = "".join(f"<ReceiptHandle>{escape(handle)}</ReceiptHandle>" for handle in handles)
    return f'<?xml version="1.0"?><ReceiptHandles xmlns="{XMLNS}">{elements}</ReceiptHandles>'.encode()


def _parse(body: bytes) -> ET.Element:
    try:
        text = body.decode()
        if _DOCUMENT_TYPE in text:
            raise BadXml("a document type")
        # A str is already decoded, so the encoding that it declares is ignored.
        return ET.fromstring(text)  # noqa: S314 - see above
    except (UnicodeDecodeError, ET.ParseError):
        raise BadXml("no XML") from None


def _text(node: ET.Element, name: str) -> str:
    return (node.findtext(f"{{*}}{name}") or "").strip()


def _decoded(text: str) -> bytes:
    """Decode Base64. Other text is returned unchanged; the handler rejects it."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return text.encode()
