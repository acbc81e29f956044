from __future__ import annotations

import time
import tracemalloc
from xml.etree import ElementTree as ET

import pytest
from sms.queue_helpers import XMLNS, error_xml, message_xml, messages_xml

from otp_service.sms.aliyun.mns.messages import BadXml, read_error_code, read_messages, write_handles

BODY = b'{"success":true}'


def test_messages_are_parsed_in_order() -> None:
    messages = read_messages(messages_xml(message_xml(b"a", "1"), message_xml(b"b", "2")))

    assert [(message.handle, message.body) for message in messages] == [("1", b"a"), ("2", b"b")]


def test_line_breaks_within_base64_do_not_matter() -> None:
    (message,) = read_messages(messages_xml(message_xml("\n  eyJz\n  dWNjZXNzIjp0cnVlfQ==\n")))

    assert message.body == BODY


@pytest.mark.parametrize("text", ["{&quot;a&quot;:1}", "abc", "====", "äöü", "a b!"])
def test_body_that_is_not_base64_is_unchanged(text: str) -> None:
    (message,) = read_messages(messages_xml(message_xml(text)))

    assert message.body == text.replace("&quot;", '"').encode()


def test_message_without_a_handle_is_ignored() -> None:
    (message,) = read_messages(messages_xml("<Message/>", message_xml(b"a", ""), message_xml(b"b", "2")))

    assert message.body == b"b"


ENTITIES = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
BOMB = (
    f'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY l0 "lollollol">{ENTITIES}]>'
    f'<Messages xmlns="{XMLNS}">{message_xml("&l9;")}</Messages>'
)
EXTERNAL = (
    '<!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    f'<Messages xmlns="{XMLNS}">{message_xml("&x;")}</Messages>'
)
BAD = {
    "nothing": b"",
    "no XML": b"<html><body>502",
    "JSON": b'{"Code":"OK"}',
    "truncated": messages_xml(message_xml(BODY))[:-20],
    "no message": messages_xml(),
    "no UTF-8": b"<Messages>\xff\xfe</Messages>",
    "undefined entity": messages_xml(message_xml("&undefined;")),
    "document type": b'<!DOCTYPE Messages SYSTEM "http://127.0.0.1/x.dtd">' + messages_xml(message_xml(BODY)),
    "external entity": EXTERNAL.encode(),
    "entity bomb": BOMB.encode(),
    "entity bomb in UTF-16": BOMB.replace("<?xml", '<?xml encoding="utf-16"').encode("utf-16"),
    "entity bomb in UTF-7": BOMB.replace('"1.0"?', '"1.0" encoding="utf-7"?').encode("utf-7"),
    "other encoding claimed": b'<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a []><Messages/>',
}


@pytest.mark.parametrize("name", BAD)
def test_invalid_response_is_rejected(name: str) -> None:
    tracemalloc.start()
    with pytest.raises(BadXml) as error:
        read_messages(BAD[name])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 1_000_000
    assert error.value.__cause__ is None
    assert read_error_code(BAD[name]) == ""


@pytest.mark.parametrize("claimed", ["utf-16", "cp037", "no-such-encoding"])
def test_only_utf_8_is_decoded_whatever_encoding_is_declared(claimed: str) -> None:
    """Otherwise a document type could hide in an encoding that the check does not know."""
    answer = messages_xml(message_xml(BODY)).replace(b'"1.0"', f'"1.0" encoding="{claimed}"'.encode())

    assert read_messages(answer)[0].body == BODY


def test_parser_alone_would_expand_an_entity_bomb() -> None:
    """Otherwise these tests would prove nothing."""
    small = '<!DOCTYPE a [<!ENTITY b "boom">]><a>&b;&b;</a>'

    assert ET.fromstring(small).text == "boomboom"  # noqa: S314 - its own


def test_deep_nesting_is_parsed_and_freed() -> None:
    deep = b"<a>" * 100_000 + b"</a>" * 100_000
    began = time.monotonic()

    with pytest.raises(BadXml):
        read_messages(deep)

    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("code", "body"),
    [
        ("QueueNotExist", error_xml("QueueNotExist")),
        ("MessageNotExist", b"<Error><Code>MessageNotExist</Code></Error>"),
        (
            "ReceiptHandleError",
            b"<Errors><Error><ErrorCode>ReceiptHandleError</ErrorCode></Error><Error/></Errors>",
        ),
        ("", b"<Error/>"),
        ("", error_xml("13800138000")),
        ("", error_xml("a b")),
        ("", error_xml("A" * 100)),
    ],
)
def test_malformed_error_code_is_ignored(code: str, body: bytes) -> None:
    assert read_error_code(body) == code


def test_handles_are_escaped() -> None:
    handles = ["1-a==", "</ReceiptHandle><x/>&"]
    root = ET.fromstring(write_handles(handles))  # noqa: S314 - ours

    assert [node.text for node in root] == handles
    assert root.tag == f"{{{XMLNS}}}ReceiptHandles"
