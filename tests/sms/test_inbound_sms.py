"""Inbound SMS, posted to the operator's webhook."""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from sms import wire
from sms.doubles import RealClock
from sms.wire import Behave, WireServer, response
from standardwebhooks import Webhook as Receiver
from support.events import RecordingEvents

from otp_service.domain.messages import InboundSms
from otp_service.services.interfaces import InboundSmsForwarder
from otp_service.sms.factory import inbound_sms_webhook
from otp_service.sms.webhook import InboundSmsWebhook

SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()
PHONE, CONTENT = "+8613800138000", "退订 TD"
INBOUND = InboundSms("sms_1", PHONE, CONTENT, "1069000000", 1_795_421_261.5, "商店")
PAGE = (Path(__file__).parents[2] / "docs" / "webhook.md").read_text(encoding="utf-8")


def make_webhook(url: str, events: RecordingEvents | None = None) -> InboundSmsWebhook:
    return inbound_sms_webhook(
        url=url,
        secret=SECRET,
        events=events or RecordingEvents(),
        clock=RealClock(),
        max_in_flight=1,
        connect_seconds=0.3,
    )


def forward(behave: Behave, inbound_sms: InboundSms = INBOUND) -> tuple[bytes, bool]:
    with WireServer(behave) as server:
        recorder = make_webhook(f"{server.url}/replies")
        forwarded = recorder.forward(inbound_sms, 2)
        recorder.close()
        (request,) = server.requests
    return request, forwarded


def headers_and_body(request: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}, body


def test_inbound_sms_is_posted_signed_with_its_id() -> None:
    request, forwarded = forward(wire.answers(response(b"")))
    headers, body = headers_and_body(request)

    assert forwarded
    assert request.startswith(b"POST /replies HTTP/1.1\r\n")
    assert headers["webhook-id"] == "sms_1"
    payload = Receiver(SECRET).verify(body, headers)
    assert payload["type"] == "sms.received"
    assert payload["data"] == {
        "id": "sms_1",
        "phone": PHONE,
        "content": CONTENT,
        "sender": "1069000000",
        "sent_at": "2026-11-23T08:07:41Z",
        "sign_name": "商店",
    }


def test_docs_show_the_posted_json() -> None:
    request, _ = forward(wire.answers(response(b"")))
    example = json.loads(PAGE[PAGE.index('{\n  "type": "sms.received"') :].partition("\n```")[0])

    assert example["data"].keys() == json.loads(headers_and_body(request)[1])["data"].keys()


def test_unreadable_time_is_null() -> None:
    request, _ = forward(wire.answers(response(b"")), replace(INBOUND, sent_at=0.0))

    assert json.loads(headers_and_body(request)[1])["data"]["sent_at"] is None


def test_text_with_a_lone_surrogate_is_posted() -> None:
    request, forwarded = forward(wire.answers(response(b"")), replace(INBOUND, content="\ud83d half"))
    headers, body = headers_and_body(request)

    assert forwarded
    assert Receiver(SECRET).verify(body, headers)["data"]["content"] == "\ud83d half"


NOT_FORWARDED = {
    "300": (wire.answers(response(b"", 300)), "http_300"),
    "404": (wire.answers(response(b"", 404)), "http_404"),
    "500": (wire.answers(response(CONTENT.encode(), 500)), "http_500"),
    "redirect": (wire.answers(response(b"", 302, "Location: /x")), "http_302"),
    "reset": (wire.resets(), "ConnectionResetError"),
    "stall": (wire.stalls, "TimeoutError"),
}


@pytest.mark.parametrize("name", NOT_FORWARDED)
def test_only_a_2xx_in_time_is_forwarded(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    behave, reason = NOT_FORWARDED[name]
    events = RecordingEvents()
    with WireServer(behave) as server:
        forwarded = make_webhook(server.url, events).forward(INBOUND, 0.3)
        assert len(server.requests) == 1

    assert forwarded is False
    assert events.emitted == [("inbound_sms_forward_failed", {"reason": reason})]
    assert [text for text in (PHONE[3:], CONTENT, SECRET) if text in caplog.text] == []


def test_nothing_is_posted_after_the_time_limit() -> None:
    events = RecordingEvents()
    with WireServer(wire.answers(response(b""))) as server:
        assert make_webhook(server.url, events).forward(INBOUND, 0) is False
        assert server.connections == 0

    assert events.names == ["inbound_sms_forward_failed"]


def test_inbound_sms_that_cannot_be_encoded_is_not_forwarded() -> None:
    events = RecordingEvents()
    recorder: InboundSmsForwarder = make_webhook("http://127.0.0.1:9", events)

    assert recorder.forward(replace(INBOUND, sent_at=1e20), 1) is False
    assert PHONE not in repr(events.emitted)
