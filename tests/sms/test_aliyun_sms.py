from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest
from sms import wire
from sms.doubles import (
    CODE,
    HONG_KONG,
    MAINLAND,
    NUMBER,
    TEMPLATE,
    MakeProvider,
    ManualClock,
    RealClock,
    sms,
)
from sms.wire import OK, WireServer, response
from support.events import RecordingEvents

from otp_service.domain.codes import Code
from otp_service.domain.messages import FailureCause, SendResult, SendStatus, Template
from otp_service.domain.phone import Phone
from otp_service.sandbox import SandboxConfig, SandboxServer, start_sandbox
from otp_service.sandbox.magic import MAGIC
from otp_service.sms.aliyun.api import AliyunApi
from otp_service.sms.aliyun.signed_request import AccessKey, Signature
from otp_service.sms.aliyun.sms import AliyunSms
from otp_service.sms.factory import aliyun_sms
from otp_service.sms.http import HttpClient
from otp_service.sms.provider import Provider, RouteHealth
from otp_service.sms.router import Route, SmsRouter

BOTH = pytest.mark.parametrize("signature", list(Signature))


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    released: list[float] = []
    config = SandboxConfig.default({"testId": "testSecret"})
    with start_sandbox(config, pause=released.append) as server:
        yield server


def send(provider: AliyunSms, phone: Phone = MAINLAND, template: Template = TEMPLATE) -> SendResult:
    return provider.send(sms(phone=phone), template, time.monotonic() + 5).outcome


def inbox(server: SandboxServer) -> str:
    import requests  # noqa: PLC0415 - the inbox is a page

    with requests.Session() as session:
        session.trust_env = False
        return session.get(server.inbox_url, timeout=5).text


# ── against the sandbox ──


@BOTH
def test_sandbox_accepts_and_delivers(
    sandbox: SandboxServer, make_provider: MakeProvider, signature: Signature
) -> None:
    outcome = send(make_provider(sandbox.url, signature))

    assert outcome.status is SendStatus.ACCEPTED
    assert outcome.biz_id
    assert outcome.request_id
    assert CODE in inbox(sandbox)


@BOTH
@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"secret": "wrong"}, "SignatureDoesNotMatch"),
        ({"sign_name": "没有"}, "isv.SMS_SIGNATURE_ILLEGAL"),
    ],
    ids=["wrong secret", "wrong sign name"],
)
def test_sandbox_rejects_a_wrong_configuration(
    sandbox: SandboxServer,
    make_provider: MakeProvider,
    signature: Signature,
    facts: dict[str, str],
    code: str,
) -> None:
    outcome = send(make_provider(sandbox.url, signature, **facts))

    assert (outcome.cause, outcome.provider_code) == (FailureCause.ACCOUNT, code)


@BOTH
def test_every_request_has_a_new_nonce(
    sandbox: SandboxServer, make_provider: MakeProvider, signature: Signature
) -> None:
    provider = make_provider(sandbox.url, signature)
    phones = [Phone(f"+86138{n:08}", "CN", "mobile", 86) for n in range(5)]

    assert {send(provider, phone).status for phone in phones} == {SendStatus.ACCEPTED}


MAGIC_OUTCOMES: dict[str, SendStatus | FailureCause] = {
    "1001": FailureCause.RECIPIENT,
    "1002": FailureCause.RECIPIENT,
    "1003": FailureCause.RECIPIENT,
    **{f"10{n:02}": FailureCause.ACCOUNT for n in range(4, 14)},
    "1014": SendStatus.UNKNOWN,
    "1015": SendStatus.UNKNOWN,
    **{f"200{n}": FailureCause.RECIPIENT_RATE_LIMIT for n in range(1, 6)},
    "3001": FailureCause.PROVIDER,
    "3002": FailureCause.ACCOUNT,
    "3003": FailureCause.ACCOUNT,
    "3004": SendStatus.UNKNOWN,
    "4001": SendStatus.ACCEPTED,
    "4002": SendStatus.ACCEPTED,
    "5001": SendStatus.UNKNOWN,
    "5002": SendStatus.UNKNOWN,
    **{f"600{n}": SendStatus.UNKNOWN for n in range(1, 8)},
}


def test_every_failing_number_of_the_sandbox_has_its_result(
    sandbox: SandboxServer, make_provider: MakeProvider
) -> None:
    provider = make_provider(sandbox.url)
    phones = {ending: Phone(f"+861380000{ending}", "CN", "mobile", 86) for ending in MAGIC_OUTCOMES}
    outcomes = {ending: send(provider, phone) for ending, phone in phones.items()}

    assert {phone.national for phone in phones.values()} <= set(MAGIC)
    assert {ending: o.cause or o.status for ending, o in outcomes.items()} == MAGIC_OUTCOMES


# ── the request ──


def test_v1_request_of_the_whole_provider() -> None:
    clock = ManualClock(datetime(2026, 11, 23, 8, 7, 37, 999_999, tzinfo=UTC).timestamp())
    with WireServer(wire.answers(response(OK))) as server:
        api = AliyunApi(
            keys=[AccessKey("testId", "testSecret")],
            version="2017-05-25",
            http=HttpClient(max_connections=1),
            clock=clock,
            endpoint=server.url,
            nonce=lambda: "135083bab80de7109a05e9a3c538688e",
        )
        provider = AliyunSms(api=api, sign_name="云通信产品", clock=clock)
        message = sms(phone=Phone("+8613000000000", "CN", "mobile", 86), code=Code("123456"))
        result = provider.send(message, Template("*", "SMS_000000"), clock.monotonic() + 5)
        provider.close()

    head, _, body = server.requests[0].decode().partition("\r\n\r\n")
    assert result.outcome.status is SendStatus.ACCEPTED
    assert head.startswith("POST / HTTP/1.1\r\n")
    # This is the vector of an official SDK, smssdk_post_simple.
    assert dict(parse_qsl(body))["Signature"] == "HxGoXzwxPEUmWXbPDlCVVhszS9g="


@BOTH
def test_values_are_text_and_mainland_numbers_have_no_prefix(
    make_provider: MakeProvider, signature: Signature
) -> None:
    with WireServer(wire.answers(response(OK))) as server:
        provider = make_provider(server.url, signature)
        send(provider, template=Template("*", "SMS_1", code_variable="number", extra_variables={"min": "5"}))
        send(provider, HONG_KONG)

    first, second = (_params(request) for request in server.requests)
    assert json.loads(first["TemplateParam"]) == {"min": "5", "number": CODE}
    assert json.loads(second["TemplateParam"]) == {"code": CODE}
    assert (first["PhoneNumbers"], second["PhoneNumbers"]) == (NUMBER, "85251234567")
    assert first["OutId"] == "abcdefgh"


def _params(request: bytes) -> dict[str, str]:
    head, _, body = request.decode().partition("\r\n\r\n")
    target = head.split(" ")[1]
    return dict(parse_qsl(body or target.partition("?")[2]))


@pytest.mark.parametrize(
    ("phone", "template", "code"),
    [
        (Phone("+18624017194", "US", "mobile", 1), TEMPLATE, "local.phone_reads_as_mainland"),
        (Phone("+8613800138000,13900139000", "CN", "mobile", 86), TEMPLATE, "local.phone"),
        (MAINLAND, Template("*", "SMS_1", extra_variables={"product": ""}), "local.template_param"),
        (MAINLAND, Template("*", "SMS_1", extra_variables={"locale": "zh-CN"}), "local.template_param"),
        (MAINLAND, Template("*", "SMS_1", extra_variables={"link": "www.a"}), "local.template_param"),
    ],
    ids=["reads as mainland", "two numbers", "empty value", "hyphen", "link"],
)
def test_invalid_sms_is_rejected_before_the_request(
    make_provider: MakeProvider, phone: Phone, template: Template, code: str
) -> None:
    with WireServer(wire.answers(response(OK))) as server:
        result = make_provider(server.url).send(sms(phone=phone), template, time.monotonic() + 5)
        assert server.connections == 0

    assert (result.outcome.cause, result.outcome.provider_code) == (FailureCause.ACCOUNT, code)
    assert result.health is RouteHealth.NOT_ATTEMPTED


def test_nothing_is_sent_after_the_deadline(make_provider: MakeProvider) -> None:
    with WireServer(wire.answers(response(OK))) as server:
        result = make_provider(server.url).send(sms(), TEMPLATE, time.monotonic() - 0.01)
        assert server.connections == 0

    assert (result.outcome.cause, result.outcome.provider_code) == (FailureCause.PROVIDER, "local.deadline")
    assert result.health is RouteHealth.NOT_ATTEMPTED


@BOTH
def test_refused_connection_is_a_provider_failure_with_nothing_sent(
    make_provider: MakeProvider, signature: Signature
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = make_provider(f"http://127.0.0.1:{port}", signature).send(sms(), TEMPLATE, time.monotonic() + 5)

    assert (result.outcome.status, result.outcome.cause) == (SendStatus.REFUSED, FailureCause.PROVIDER)
    assert result.outcome.provider_code == "local.not_sent.ConnectionRefusedError"
    assert result.health is RouteHealth.TRANSPORT_ERROR


FAILURES = {
    "hang-up": wire.hangs_up,
    "reset": wire.resets(),
    "reset within an OK": wire.resets(response(OK)[:-1]),
    "stall": wire.stalls,
    "half a head": wire.answers_and_hangs_up(b"HTTP/1.1 200 OK\r\nContent-"),
    "truncated OK": wire.answers_and_hangs_up(response(OK, length=len(OK) + 1)),
    "junk": wire.answers(response(b"<html>OK</html>")),
    "502": wire.answers(response(b"", 502)),
    "redirect": wire.answers(response(OK, 301, "Location: http://127.0.0.1:9/")),
    "system error": wire.answers(response(b'{"Code":"isp.SYSTEM_ERROR","Message":"13800138000 735196"}')),
    "refusal": wire.answers(response(b'{"Code":"isv.INVALID_PARAMETERS","Message":"13800138000 735196"}')),
    "echo": wire.answers(response(b'{"Code":"735196","RequestId":"13800138000 735196","BizId":"x y"}')),
}


@BOTH
@pytest.mark.parametrize("name", FAILURES)
def test_failed_send_is_unknown_and_not_repeated(
    make_provider: MakeProvider, signature: Signature, name: str
) -> None:
    with WireServer(FAILURES[name]) as server:
        result = make_provider(server.url, signature).send(sms(), TEMPLATE, time.monotonic() + 5)
        assert len(server.requests) == 1

    if name == "refusal":
        assert result.outcome.cause is FailureCause.ACCOUNT
    else:
        assert (result.outcome.status, result.health) == (SendStatus.UNKNOWN, RouteHealth.TRANSPORT_ERROR)


# ── no sensitive output ──


@BOTH
def test_no_visible_text_contains_number_or_code(
    make_provider: MakeProvider, signature: Signature, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[object] = []
    for behave in (wire.answers(response(OK)), *FAILURES.values()):
        with WireServer(behave) as server:
            provider = make_provider(server.url, signature)
            seen += _send_over(provider)
    seen += _send_over(make_provider("http://127.0.0.1:9", signature))

    printed = caplog.text + repr(seen)
    assert NUMBER not in printed
    assert CODE not in printed
    assert "testSecret" not in printed


def _send_over(provider: Provider) -> list[object]:
    events = RecordingEvents()
    clock = RealClock()
    router = SmsRouter(
        routes=[Route("one", provider, (TEMPLATE,))], clock=clock, events=events, max_in_flight=1
    )
    with router.permit():
        outcome = router.send(sms(), clock.monotonic() + 5)
    assert router.close(5)
    return [outcome, events.emitted, router.states(), provider]


def test_breaker_stops_connecting_after_five_resets(make_provider: MakeProvider) -> None:
    clock = RealClock()
    with WireServer(wire.resets()) as server:
        provider = make_provider(server.url)
        router = SmsRouter(
            routes=[Route("one", provider, (TEMPLATE,))],
            clock=clock,
            events=RecordingEvents(),
            max_in_flight=2,
        )
        for _ in range(5):
            with router.permit():
                router.send(sms(), clock.monotonic() + 5)
        began = time.monotonic()
        with router.permit():
            sixth = router.send(sms(), clock.monotonic() + 5)
        took = time.monotonic() - began
        assert router.close(5)
        assert server.connections == 5

    assert sixth.provider_code == "local.breaker_open"
    assert took < 0.05


# ── built from plain arguments ──


def test_factory_builds_from_plain_arguments(sandbox: SandboxServer) -> None:
    provider: Provider = aliyun_sms(
        keys=[AccessKey("testId", "testSecret")],
        sign_name="云通信测试",
        endpoint=sandbox.url,
        signature="v3",
        clock=RealClock(),
    )
    result = provider.send(sms(), TEMPLATE, time.monotonic() + 5)
    provider.close()

    assert result.outcome.status is SendStatus.ACCEPTED


def test_factory_refuses_an_unknown_signature() -> None:
    with pytest.raises(ValueError, match="v2"):
        aliyun_sms(keys=[AccessKey("i", "s")], sign_name="n", signature="v2", clock=RealClock())
