"""SMS posted to the operator's webhook: the request, and the meaning of responses."""

from __future__ import annotations

import base64
import json
import logging
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sms import wire
from sms.doubles import CODE, MAINLAND, NUMBER, ManualClock, RealClock, sms
from sms.wire import Behave, WireServer, response
from standardwebhooks import Webhook as Receiver
from standardwebhooks import WebhookVerificationError
from support.events import RecordingEvents

from otp_service.domain.messages import (
    DeliveryLookup,
    DeliveryLookupStatus,
    FailureCause,
    SendStatus,
    Template,
)
from otp_service.sms.endpoint import BadEndpoint
from otp_service.sms.factory import webhook
from otp_service.sms.http import HttpClient
from otp_service.sms.provider import Provider, ProviderResult, RouteHealth
from otp_service.sms.router import Route, SmsRouter
from otp_service.sms.webhook import (
    MAX_RETRY_AFTER,
    WebhookProvider,
    message_id,
    parse_retry_after,
    read_response,
)
from otp_service.sms.webhook_client import WebhookClient, parse_webhook_url

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NOW = datetime(2026, 11, 23, 8, 7, 41, tzinfo=UTC)
TEMPLATE = Template("*", "own-1", code_variable="number", extra_variables={"brand": "Köhler & Söhne"})
NO_CONTENT = b"HTTP/1.1 204 Whatever\r\n\r\n"
PAGE = (Path(__file__).parents[2] / "docs" / "webhook.md").read_text(encoding="utf-8")


def make_provider(url: str, secret: str = SECRET) -> WebhookProvider:
    return webhook(
        url=url,
        secret=secret,
        sign_name="商店",
        clock=RealClock(),
        max_in_flight=2,
        connect_seconds=0.3,
        read_seconds=0.4,
    )


def send(url: str, **changes: Any) -> ProviderResult:
    return make_provider(url).send(sms(**changes), TEMPLATE, time.monotonic() + 5)


def received(request: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}, body


# ── the request ──


def test_receiver_gets_the_signed_sms() -> None:
    with WireServer(wire.answers(NO_CONTENT)) as server:
        host = server.url.removeprefix("http://")
        result = send(f"{server.url}/sms/send")

    first, headers, body = received(server.requests[0])
    payload = Receiver(SECRET).verify(body, headers)
    assert result.outcome.status is SendStatus.ACCEPTED
    assert first == "POST /sms/send HTTP/1.1"
    assert headers["content-type"] == "application/json"
    assert headers["host"] == host
    assert payload["type"] == "otp.send"
    assert abs(datetime.fromisoformat(payload["timestamp"]).timestamp() - time.time()) < 60
    assert payload["data"] == {
        "phone": MAINLAND.e164,
        "code": CODE,
        "code_type": "digits",
        "purpose": "login",
        "locale": "",
        "client": "shop",
        "sign_name": "商店",
        "template_code": "own-1",
        "params": {"brand": "Köhler & Söhne", "number": CODE},
        "out_id": "abcdefgh",
    }
    assert body.isascii()


def test_docs_show_the_sent_json() -> None:
    with WireServer(wire.answers(NO_CONTENT)) as server:
        send(server.url)
    _, headers, body = received(server.requests[0])
    example = json.loads(PAGE[PAGE.index('{\n  "type": "otp.send"') :].partition("\n```")[0])
    payload = json.loads(body)

    assert (example.keys(), example["data"].keys()) == (payload.keys(), payload["data"].keys())
    assert [name for name in headers if name.startswith("webhook-") and f"\n{name}: " not in PAGE] == []


@pytest.mark.parametrize(
    ("secret", "change"),
    [
        ("whsec_" + base64.b64encode(bytes(32)).decode(), {}),
        (SECRET, {"webhook-id": "send_other"}),
        (SECRET, {"webhook-timestamp": "1795421261"}),
    ],
    ids=["other secret", "other id", "other time"],
)
def test_receiver_detects_a_changed_message(secret: str, change: dict[str, str]) -> None:
    with WireServer(wire.answers(NO_CONTENT)) as server:
        send(server.url)
    _, headers, body = received(server.requests[0])

    with pytest.raises(WebhookVerificationError):
        Receiver(secret).verify(body, {**headers, **change})


def test_time_of_the_clock_is_signed() -> None:
    clock = ManualClock(NOW.timestamp() + 0.75)
    with WireServer(wire.answers(NO_CONTENT)) as server:
        client = WebhookClient(url=server.url, secret=SECRET, http=HttpClient(max_connections=1), clock=clock)
        client.post("otp.send", "send_1", {}, seconds=5)
        client.close()
    _, headers, body = received(server.requests[0])

    assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert json.loads(body)["timestamp"] == "2026-11-23T08:07:41Z"
    assert headers["webhook-signature"] == Receiver(SECRET).sign("send_1", NOW, body.decode())


def test_message_id_is_stable_and_reveals_nothing() -> None:
    with WireServer(wire.answers(NO_CONTENT)) as server:
        for reference in ("one", "one", "two"):
            send(server.url, reference=reference)
    first, again, other = (received(request)[1]["webhook-id"] for request in server.requests)

    assert first == again == message_id("one")
    assert first != other
    assert re.fullmatch(r"send_[\w-]{22}", first)


# ── responses ──

REJECTED = b'{"code":"destination_rejected"}'
ACCEPTED, UNKNOWN = SendStatus.ACCEPTED, SendStatus.UNKNOWN

ANSWERS: dict[str, tuple[int, bytes, SendStatus | FailureCause, RouteHealth | None]] = {
    "200": (200, b"", ACCEPTED, None),
    "202": (202, b"{}", ACCEPTED, None),
    "204": (204, b"", ACCEPTED, None),
    "299": (299, b"", ACCEPTED, None),
    "200 with a refusal": (200, REJECTED, ACCEPTED, None),
    "rejected": (422, REJECTED, FailureCause.RECIPIENT, None),
    "rejected with more": (422, b'{"code":"destination_rejected","x":[1]}', FailureCause.RECIPIENT, None),
    "rejected on 400": (400, REJECTED, FailureCause.ACCOUNT, RouteHealth.TEMPLATE_ERROR),
    "422 alone": (422, b"", FailureCause.ACCOUNT, RouteHealth.TEMPLATE_ERROR),
    "422 with another code": (
        422,
        b'{"code":"Destination_Rejected"}',
        FailureCause.ACCOUNT,
        RouteHealth.TEMPLATE_ERROR,
    ),
    "422 with a list": (422, b'["destination_rejected"]', FailureCause.ACCOUNT, RouteHealth.TEMPLATE_ERROR),
    "422 with a text": (422, b'"destination_rejected"', FailureCause.ACCOUNT, RouteHealth.TEMPLATE_ERROR),
    "422 too deep": (422, b"[" * 60_000, FailureCause.ACCOUNT, RouteHealth.TEMPLATE_ERROR),
    "422 no UTF-8": (422, b'{"code":"\xff"}', FailureCause.ACCOUNT, RouteHealth.TEMPLATE_ERROR),
    "429": (429, b"", FailureCause.PROVIDER, None),
    "429 rejected": (429, REJECTED, FailureCause.PROVIDER, None),
    "400": (400, b"", FailureCause.ACCOUNT, RouteHealth.TEMPLATE_ERROR),
    "401": (401, b"", FailureCause.ACCOUNT, RouteHealth.TEMPLATE_ERROR),
    "404": (404, b"<html>", FailureCause.ACCOUNT, RouteHealth.TEMPLATE_ERROR),
    "413": (413, b"", FailureCause.ACCOUNT, RouteHealth.TEMPLATE_ERROR),
    "499": (499, b"", FailureCause.ACCOUNT, RouteHealth.TEMPLATE_ERROR),
    "301": (301, b"", UNKNOWN, RouteHealth.TRANSPORT_ERROR),
    "304": (304, b"", UNKNOWN, RouteHealth.TRANSPORT_ERROR),
    "500": (500, b"", UNKNOWN, RouteHealth.TRANSPORT_ERROR),
    "502": (502, b"<html>", UNKNOWN, RouteHealth.TRANSPORT_ERROR),
    "503 rejected": (503, REJECTED, UNKNOWN, RouteHealth.TRANSPORT_ERROR),
    "600": (600, b"", UNKNOWN, RouteHealth.TRANSPORT_ERROR),
    "199": (199, b"", UNKNOWN, RouteHealth.TRANSPORT_ERROR),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_response_is_read_as_documented(name: str) -> None:
    status, body, meaning, health = ANSWERS[name]
    result = read_response(status, {}, body, NOW)

    assert (result.outcome.cause or result.outcome.status) == meaning
    assert result.health is health
    assert result.outcome.provider_code in (f"http_{status}", "destination_rejected")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("", 0),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("٣", 0),
        ("999999999", MAX_RETRY_AFTER),
        ("9" * 5000, 0),
        ("Mon, 23 Nov 2026 08:08:00 GMT", 19),
        ("Mon, 23 Nov 2026 16:08:00 +0800", 19),
        ("Mon, 23 Nov 2026 08:08:00 -0000", 19),
        ("Mon, 23 Nov 2026 08:07:00 GMT", 0),
        ("Mon, 23 Nov 2099 08:07:00 GMT", MAX_RETRY_AFTER),
        ("Mon, 99 Nov 2026 08:07:00 GMT", 0),
        ("Mon, 23 Nov 99999999999 08:07:00 GMT", 0),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str, seconds: int) -> None:
    assert parse_retry_after(text, NOW) == seconds
    assert read_response(429, {"retry-after": text}, b"", NOW).outcome.retry_after == seconds


WIRES: dict[str, tuple[Behave, SendStatus | FailureCause]] = {
    "accepted": (wire.answers(response(b"{}", 201)), ACCEPTED),
    "rejected": (wire.answers(response(REJECTED, 422)), FailureCause.RECIPIENT),
    "rejected in a huge body": (wire.answers(response(REJECTED + b" " * 70_000, 422)), UNKNOWN),
    "busy": (wire.answers(response(b"", 429, "Retry-After: 3")), FailureCause.PROVIDER),
    "reset": (wire.resets(), UNKNOWN),
    "hang-up": (wire.hangs_up, UNKNOWN),
    "stall": (wire.stalls, UNKNOWN),
    "drips": (wire.drips(response(b"{" + b" " * 200)), UNKNOWN),
    "echo": (
        wire.answers(response(f'{{"code":"{CODE}","phone":"{NUMBER}"}}'.encode(), 422)),
        FailureCause.ACCOUNT,
    ),
    "redirect": (wire.answers(response(b"", 307, "Location: /again")), UNKNOWN),
}


@pytest.mark.parametrize("name", WIRES)
def test_failed_post_is_not_repeated_and_reveals_nothing(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    behave, meaning = WIRES[name]
    events, clock = RecordingEvents(), RealClock()
    with WireServer(behave) as server:
        provider = make_provider(f"{server.url}/otp")
        router = SmsRouter(
            routes=[Route("one", provider, (TEMPLATE,))], clock=clock, events=events, max_in_flight=1
        )
        with router.permit():
            outcome = router.send(sms(), clock.monotonic() + 5)
        assert router.close(5)
        assert (len(server.requests), server.connections) == (1, 1)

    printed = caplog.text + repr([outcome, events.emitted, provider])
    assert (outcome.cause or outcome.status) == meaning
    assert [text for text in (NUMBER, CODE, SECRET, SECRET[6:]) if text in printed] == []


def test_refused_connection_has_sent_nothing() -> None:
    with WireServer(wire.stalls) as server:
        url = server.url
    result = send(url)

    assert (result.outcome.status, result.outcome.cause) == (SendStatus.REFUSED, FailureCause.PROVIDER)
    assert (result.outcome.provider_code, result.health) == (
        "local.not_sent.ConnectionRefusedError",
        RouteHealth.TRANSPORT_ERROR,
    )


def test_nothing_is_posted_after_the_deadline() -> None:
    with WireServer(wire.answers(NO_CONTENT)) as server:
        result = make_provider(server.url).send(sms(), TEMPLATE, time.monotonic() - 0.01)
        assert server.connections == 0

    assert result.outcome.provider_code == "local.deadline"


def test_delivery_lookup_is_unsupported() -> None:
    provider: Provider = make_provider("http://127.0.0.1:9")
    lookup = DeliveryLookup(MAINLAND, "shop", "login", "one", 0.0, matches=lambda _: True)

    assert provider.lookup_delivery(lookup, time.monotonic() + 5).status is DeliveryLookupStatus.UNSUPPORTED


# ── the target ──


@pytest.mark.parametrize(
    ("text", "url", "host"),
    [
        ("https://example.org", "https://example.org/", "example.org"),
        ("https://example.org/otp/send", "https://example.org/otp/send", "example.org"),
        ("HTTPS://Example.org:443/Otp/", "https://example.org/Otp/", "example.org"),
        ("https://example.org:8443/a%20b;c=(d)", "https://example.org:8443/a%20b;c=(d)", "example.org:8443"),
        ("http://127.0.0.1:8081/x", "http://127.0.0.1:8081/x", "127.0.0.1:8081"),
        ("http://[::1]/x", "http://[::1]/x", "[::1]"),
    ],
)
def test_target_may_have_a_path(text: str, url: str, host: str) -> None:
    target = parse_webhook_url(text)

    assert (target.url, target.host) == (url, host)


@pytest.mark.parametrize(
    "text",
    [
        "http://example.org/x",
        "https://user:secret@example.org/x",
        "https://example.org/x?secret",
        "https://example.org/x#secret",
        "https://example.org/secret secret",
        "https://example.org/sécret",
        "https://example.org/x\r\nsecret: 1",
        "https://[secret/x",
        "/secret",
        "",
    ],
)
def test_other_target_is_rejected_without_quoting_it(text: str) -> None:
    with pytest.raises(BadEndpoint) as error:
        make_provider(text)
    assert "secret" not in str(error.value)
