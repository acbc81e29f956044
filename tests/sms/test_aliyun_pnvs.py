"""PNVS, which only sends our codes: against the sandbox and scripted responses."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from urllib.parse import parse_qsl

import pytest
from sms import wire
from sms.doubles import (
    CODE,
    HONG_KONG,
    MAINLAND,
    NUMBER,
    ManualClock,
    RealClock,
    sms,
)
from sms.wire import WireServer, response
from support.events import RecordingEvents

from otp_service.domain.codes import Code, CodeType
from otp_service.domain.messages import (
    DeliveryLookup,
    DeliveryLookupStatus,
    FailureCause,
    SendResult,
    SendStatus,
    Template,
)
from otp_service.domain.phone import Phone
from otp_service.sandbox import SandboxConfig, SandboxServer, start_sandbox
from otp_service.sms.aliyun.pnvs import AliyunPnvs
from otp_service.sms.aliyun.protocol.pnvs import CODE_PLACEHOLDER
from otp_service.sms.aliyun.signed_request import AccessKey, Signature
from otp_service.sms.factory import aliyun_pnvs
from otp_service.sms.provider import Provider, RouteHealth
from otp_service.sms.router import Route, SmsRouter

BOTH = pytest.mark.parametrize("signature", list(Signature))
TEMPLATE = Template("*", "100001", countries=("CN",))
OK = b'{"Code":"OK","Message":"OK","Success":true,"Model":{"BizId":"9^0","OutId":"o"},"RequestId":"F655"}'


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    released: list[float] = []
    with start_sandbox(SandboxConfig.default({"testId": "testSecret"}), pause=released.append) as server:
        yield server


def make_provider(url: str, signature: str = "v1", **facts: str) -> AliyunPnvs:
    return aliyun_pnvs(
        keys=[AccessKey("testId", facts.get("secret", "testSecret"))],
        sign_name=facts.get("sign_name", "速通互联验证码"),
        minutes=5,
        endpoint=url,
        signature=signature,
        clock=RealClock(),
        max_in_flight=2,
        connect_seconds=0.3,
        read_seconds=0.4,
    )


def send(provider: AliyunPnvs, phone: Phone = MAINLAND, template: Template = TEMPLATE) -> SendResult:
    return provider.send(sms(phone=phone), template, time.monotonic() + 5).outcome


def messages(server: SandboxServer) -> list[dict[str, str]]:
    import requests  # noqa: PLC0415 - the inbox is a page

    with requests.Session() as session:
        session.trust_env = False
        found: list[dict[str, str]] = session.get(f"{server.inbox_url}.json", timeout=5).json()
        return found


# ── against the sandbox ──


@BOTH
def test_pnvs_sends_our_code(sandbox: SandboxServer, signature: Signature) -> None:
    outcome = send(make_provider(sandbox.url, signature))

    (message,) = messages(sandbox)
    assert (outcome.status, outcome.biz_id) == (SendStatus.ACCEPTED, message["biz_id"])
    assert (message["phone"], message["code"], message["out_id"]) == (MAINLAND.e164, CODE, "abcdefgh")
    assert "5分钟内有效" in message["text"]


def test_pnvs_sends_a_code_with_letters(sandbox: SandboxServer) -> None:
    message = sms(code=Code("AB2CD3"), code_type=CodeType.ALNUM)
    result = make_provider(sandbox.url).send(message, TEMPLATE, time.monotonic() + 5)

    assert result.outcome.status is SendStatus.ACCEPTED
    assert messages(sandbox)[0]["code"] == "AB2CD3"


def test_minutes_of_the_route_override_those_of_the_code(sandbox: SandboxServer) -> None:
    send(make_provider(sandbox.url), template=Template("*", "100003", extra_variables={"min": "3"}))

    assert "3分钟内有效" in messages(sandbox)[0]["text"]


@pytest.mark.parametrize(
    ("facts", "code", "health"),
    [
        ({"secret": "wrong"}, "SignatureDoesNotMatch", RouteHealth.ACCOUNT_ERROR),
        ({"sign_name": "没有"}, "SMS_SIGNATURE_ILLEGAL", RouteHealth.ACCOUNT_ERROR),
        ({"sign_name": "云通信测试"}, "SMS_TEMPLATE_ILLEGAL", RouteHealth.TEMPLATE_ERROR),
    ],
    ids=["wrong secret", "unknown sign name", "sign name of one's own"],
)
def test_wrong_configuration_is_an_account_or_template_error(
    sandbox: SandboxServer, facts: dict[str, str], code: str, health: RouteHealth
) -> None:
    result = make_provider(sandbox.url, **facts).send(sms(), TEMPLATE, time.monotonic() + 5)

    assert (result.outcome.cause, result.outcome.provider_code) == (FailureCause.ACCOUNT, code)
    assert result.health is health


def test_second_send_within_a_minute_is_a_limit(sandbox: SandboxServer) -> None:
    provider = make_provider(sandbox.url)
    first, second = send(provider), send(provider)

    assert first.status is SendStatus.ACCEPTED
    assert (second.cause, second.provider_code, second.retry_after) == (
        FailureCause.RECIPIENT_RATE_LIMIT,
        "FREQUENCY_FAIL",
        60,
    )
    assert len(messages(sandbox)) == 1


MAGIC_OUTCOMES: dict[str, SendStatus | FailureCause] = {
    "1001": FailureCause.RECIPIENT,
    "1002": FailureCause.RECIPIENT,
    "1003": FailureCause.RECIPIENT,
    **{f"10{n:02}": FailureCause.ACCOUNT for n in range(4, 13)},
    "1013": SendStatus.UNKNOWN,  # without its prefix, it is unclear whose error it is
    "1014": SendStatus.UNKNOWN,
    "1015": SendStatus.UNKNOWN,
    **{f"200{n}": FailureCause.RECIPIENT_RATE_LIMIT for n in range(1, 6)},
    "3001": FailureCause.PROVIDER,
    "3002": FailureCause.ACCOUNT,
    "3003": FailureCause.ACCOUNT,
    "3004": SendStatus.UNKNOWN,
    "4001": SendStatus.ACCEPTED,
    "5001": SendStatus.UNKNOWN,
    "5002": SendStatus.UNKNOWN,
    **{f"600{n}": SendStatus.UNKNOWN for n in range(1, 8)},
}


def test_every_failing_number_of_the_sandbox_has_its_result(sandbox: SandboxServer) -> None:
    provider = make_provider(sandbox.url)
    phones = {ending: Phone(f"+861380000{ending}", "CN", "mobile", 86) for ending in MAGIC_OUTCOMES}
    outcomes = {ending: send(provider, phone) for ending, phone in phones.items()}

    assert {ending: o.cause or o.status for ending, o in outcomes.items()} == MAGIC_OUTCOMES


# ── the request ──


@BOTH
def test_pnvs_request_has_no_parameter_for_its_own_codes(signature: Signature) -> None:
    with WireServer(wire.answers(response(OK))) as server:
        outcome = send(make_provider(server.url, signature))

    head, _, body = server.requests[0].decode().partition("\r\n\r\n")
    target = head.split(" ")[1].partition("?")[2]
    params = dict(parse_qsl(body or target))
    ours = {name: params[name] for name in params if name[0].isupper() and name not in _COMMON}
    assert outcome.biz_id == "9^0"
    assert json.loads(ours.pop("TemplateParam")) == {"min": "5", "code": CODE}
    assert ours == {
        "PhoneNumber": NUMBER,
        "CountryCode": "86",
        "SignName": "速通互联验证码",
        "TemplateCode": "100001",
        "OutId": "abcdefgh",
        "CodeLength": "6",
        "ValidTime": "300",
        "DuplicatePolicy": "1",
        "Interval": "60",
        "ReturnVerifyCode": "false",
        "AutoRetry": "0",
    }
    assert "SendSmsVerifyCode" in head + body
    assert "2017-05-25" in head + body
    assert CODE_PLACEHOLDER not in head + body


_COMMON = {
    "Action",
    "Version",
    "Format",
    "AccessKeyId",
    "SignatureMethod",
    "SignatureVersion",
    "SignatureNonce",
    "Timestamp",
    "Signature",
}


@pytest.mark.parametrize(
    ("phone", "template", "code"),
    [
        (HONG_KONG, TEMPLATE, "local.phone"),
        (Phone("+18624017194", "US", "mobile", 1), TEMPLATE, "local.phone"),
        (Phone("+8613800138000,13900139000", "CN", "mobile", 86), TEMPLATE, "local.phone"),
        (Phone("+861380013800", "CN", "mobile", 86), TEMPLATE, "local.phone"),
        (Phone("13800138000", "CN", "mobile", 86), TEMPLATE, "local.phone"),
        (Phone("+8613800138000", "CN", "mobile", 8), TEMPLATE, "local.phone"),
        (MAINLAND, Template("*", "100001", extra_variables={"min": ""}), "local.template_param"),
        (MAINLAND, Template("*", "100001", extra_variables={"x": "##code##"}), "local.template_param"),
    ],
    ids=[
        "Hong Kong",
        "reads as mainland",
        "two numbers",
        "short",
        "no plus",
        "country code",
        "no minutes",
        "##",
    ],
)
def test_invalid_sms_is_rejected_before_the_request(phone: Phone, template: Template, code: str) -> None:
    with WireServer(wire.answers(response(OK))) as server:
        outcome = send(make_provider(server.url), phone, template)
        assert server.connections == 0

    assert (outcome.cause, outcome.provider_code) == (FailureCause.ACCOUNT, code)


def test_placeholder_of_pnvs_is_never_sent() -> None:
    """If it were sent, PNVS would create a code that this service does not know."""
    with WireServer(wire.answers(response(OK))) as server:
        message = sms(code=Code(CODE_PLACEHOLDER))
        result = make_provider(server.url).send(message, TEMPLATE, time.monotonic() + 5)
        assert server.connections == 0

    assert result.outcome.provider_code == "local.template_param"


def test_nothing_is_sent_after_the_deadline() -> None:
    with WireServer(wire.answers(response(OK))) as server:
        result = make_provider(server.url).send(sms(), TEMPLATE, time.monotonic() - 0.01)
        assert server.connections == 0

    assert (result.outcome.cause, result.outcome.provider_code) == (FailureCause.PROVIDER, "local.deadline")


FAILURES = {
    "reset": wire.resets(),
    "stall": wire.stalls,
    "truncated": wire.answers_and_hangs_up(response(OK, length=len(OK) + 1)),
    "502": wire.answers(response(OK, 502)),
    "redirect": wire.answers(response(OK, 301, "Location: http://127.0.0.1:9/")),
    "echo": wire.answers(response(b'{"Code":"735196","Message":"13800138000","RequestId":"735196 1"}')),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failed_send_is_unknown_not_repeated_and_reveals_nothing(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    events, clock = RecordingEvents(), RealClock()
    with WireServer(FAILURES[name]) as server:
        routes = [Route("one", make_provider(server.url), (TEMPLATE,))]
        router = SmsRouter(routes=routes, clock=clock, events=events, max_in_flight=1)
        with router.permit():
            outcome = router.send(sms(), clock.monotonic() + 5)
        assert router.close(5)
        assert len(server.requests) == 1

    printed = caplog.text + repr(outcome) + repr(events.emitted)
    assert outcome.status is SendStatus.UNKNOWN
    assert [text for text in (NUMBER, CODE, "testSecret") if text in printed] == []


def test_refused_connection_is_a_provider_failure_with_nothing_sent() -> None:
    with WireServer(wire.stalls) as server:
        url = server.url
    result = make_provider(url).send(sms(), TEMPLATE, time.monotonic() + 5)

    assert (result.outcome.status, result.outcome.cause) == (SendStatus.REFUSED, FailureCause.PROVIDER)
    assert result.health is RouteHealth.TRANSPORT_ERROR


def test_delivery_lookup_is_unsupported() -> None:
    provider: Provider = make_provider("http://127.0.0.1:9")
    lookup = DeliveryLookup(MAINLAND, "shop", "login", "one", ManualClock().now(), matches=lambda _: True)

    assert provider.lookup_delivery(lookup, time.monotonic() + 5).status is DeliveryLookupStatus.UNSUPPORTED
