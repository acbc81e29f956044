"""Replies of phones, posted to the operator."""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from sms import wire
from sms.doubles import RealClock, RecordedEvents
from sms.wire import Behave, WireServer, response
from standardwebhooks import Webhook as Receiver

from otp_service.domain.messages import InboundSms
from otp_service.services.interfaces import InboundSmsForwarder
from otp_service.sms.factory import inbound_sms_webhook
from otp_service.sms.webhook import InboundSmsWebhook

SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()
PHONE, CONTENT = "+8613800138000", "退订 TD"
UPLINK = InboundSms("sms_1", PHONE, CONTENT, "1069000000", 1_795_421_261.5, "商店")
PAGE = (Path(__file__).parents[2] / "docs" / "webhook.md").read_text(encoding="utf-8")


def made(url: str, events: RecordedEvents | None = None) -> InboundSmsWebhook:
    return inbound_sms_webhook(
        url=url,
        secret=SECRET,
        events=events or RecordedEvents(),
        clock=RealClock(),
        max_in_flight=1,
        connect_seconds=0.3,
    )


def forward(behave: Behave, uplink: InboundSms = UPLINK) -> tuple[bytes, bool]:
    with WireServer(behave) as server:
        recorder = made(f"{server.url}/replies")
        taken = recorder.forward(uplink, 2)
        recorder.close()
        (request,) = server.requests
    return request, taken


def headers_and_body(request: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}, body


def test_reply_is_posted_signed_under_its_id() -> None:
    request, taken = forward(wire.answers(response(b"")))
    headers, body = headers_and_body(request)

    assert taken
    assert request.startswith(b"POST /replies HTTP/1.1\r\n")
    assert headers["webhook-id"] == "sms_1"
    told = Receiver(SECRET).verify(body, headers)
    assert told["type"] == "sms.received"
    assert told["data"] == {
        "id": "sms_1",
        "phone": PHONE,
        "content": CONTENT,
        "sender": "1069000000",
        "sent_at": "2026-11-23T08:07:41Z",
        "sign_name": "商店",
    }


def test_page_shows_what_is_posted() -> None:
    request, _ = forward(wire.answers(response(b"")))
    example = json.loads(PAGE[PAGE.index('{\n  "type": "sms.received"') :].partition("\n```")[0])

    assert example["data"].keys() == json.loads(headers_and_body(request)[1])["data"].keys()


def test_time_that_nobody_could_read_is_null() -> None:
    request, _ = forward(wire.answers(response(b"")), replace(UPLINK, sent_at=0.0))

    assert json.loads(headers_and_body(request)[1])["data"]["sent_at"] is None


def test_text_that_no_encoding_can_write_is_posted_all_the_same() -> None:
    request, taken = forward(wire.answers(response(b"")), replace(UPLINK, content="\ud83d half"))
    headers, body = headers_and_body(request)

    assert taken
    assert Receiver(SECRET).verify(body, headers)["data"]["content"] == "\ud83d half"


NOT_TAKEN = {
    "300": (wire.answers(response(b"", 300)), "http_300"),
    "404": (wire.answers(response(b"", 404)), "http_404"),
    "500": (wire.answers(response(CONTENT.encode(), 500)), "http_500"),
    "redirect": (wire.answers(response(b"", 302, "Location: /x")), "http_302"),
    "reset": (wire.resets(), "ConnectionResetError"),
    "stall": (wire.stalls, "TimeoutError"),
}


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_only_a_2xx_in_time_has_taken_it(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    behave, reason = NOT_TAKEN[name]
    events = RecordedEvents()
    with WireServer(behave) as server:
        taken = made(server.url, events).forward(UPLINK, 0.3)
        assert len(server.requests) == 1

    assert taken is False
    assert events.seen == [("inbound_sms_forward_failed", {"reason": reason})]
    assert [text for text in (PHONE[3:], CONTENT, SECRET) if text in caplog.text] == []


def test_nothing_is_posted_when_no_time_is_left() -> None:
    events = RecordedEvents()
    with WireServer(wire.answers(response(b""))) as server:
        assert made(server.url, events).forward(UPLINK, 0) is False
        assert server.connections == 0

    assert events.names == ["inbound_sms_forward_failed"]


def test_reply_that_can_not_be_written_is_not_taken_and_raises_nothing() -> None:
    events = RecordedEvents()
    recorder: InboundSmsForwarder = made("http://127.0.0.1:9", events)

    assert recorder.forward(replace(UPLINK, sent_at=1e20), 1) is False
    assert PHONE not in repr(events.seen)
