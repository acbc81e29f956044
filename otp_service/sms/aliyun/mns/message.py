"""The XML of a queue, read with distrust and written.

XML can define entities of entities and so unpack a kilobyte to gigabytes, or name files to be read in. Both
need a document type, which no answer of Aliyun's has: one that has it is refused before it is parsed. The
text is decoded here, so that no other encoding hides one, and the HTTP client has bounded its size.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from otp_service.sms.aliyun.mns.trouble import plain_code
from otp_service.sms.aliyun.protocol.mns import XMLNS

_DOCUMENT_TYPE = "<!DOCTYPE"


class BadXml(ValueError):
    """An answer that no queue gives."""


@dataclass(frozen=True, slots=True)
class Message:
    """What lay in a queue; *handle* deletes it, for as long as nobody else can receive it."""

    handle: str = field(repr=False)
    body: bytes = field(repr=False)


def read_messages(body: bytes) -> list[Message]:
    """Read the answer to a receive. What has no handle is left out: it can't be deleted anyway.

    Raises:
        BadXml: it is not one, or has no message at all.
    """
    root = _parse(body)
    told = [(_text(node, "ReceiptHandle"), _text(node, "MessageBody")) for node in root.findall("{*}Message")]
    messages = [Message(handle, _decoded(text)) for handle, text in told if handle]
    if not messages:
        raise BadXml("no message")
    return messages


def read_code(body: bytes) -> str:
    """Return the code of an error, of the first one if there are several; empty if it can't be read."""
    try:
        root = _parse(body)
    except BadXml:
        return ""
    code = _text(root, "Code") or next((_text(node, "ErrorCode") for node in root.findall("{*}Error")), "")
    return plain_code(code, "")


def write_handles(handles: Iterable[str]) -> bytes:
    """Write the body of a delete."""
    named = "".join(f"<ReceiptHandle>{escape(handle)}</ReceiptHandle>" for handle in handles)
    return f'<?xml version="1.0"?><ReceiptHandles xmlns="{XMLNS}">{named}</ReceiptHandles>'.encode()


def _parse(body: bytes) -> ET.Element:
    try:
        text = body.decode()
        if _DOCUMENT_TYPE in text:
            raise BadXml("a document type")
        # A str is parsed as what it is, whatever encoding it claims to have.
        return ET.fromstring(text)  # noqa: S314 - see above
    except (UnicodeDecodeError, ET.ParseError):
        raise BadXml("no XML") from None


def _text(node: ET.Element, name: str) -> str:
    return (node.findtext(f"{{*}}{name}") or "").strip()


def _decoded(text: str) -> bytes:
    """Undo Base64. A text that is none is left as it is, for whoever takes it to refuse."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return text.encode()
