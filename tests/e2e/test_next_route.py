"""Failover between two routes: which failures of the first make the second send. SMS are counted."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from e2e.resend_scenario import MixedClock, Scenario, build
from sms import wire
from sms.wire import Behave, WireServer, response
from support.deployment import new_phone
from support.events import RecordingEvents
from support.redis_servers import Server, closed_port

from otp_service.domain.errors import (
    DestinationRejected,
    OtpError,
    ProviderMisconfigured,
    ProviderRateLimited,
    ProviderUnavailable,
)
from otp_service.domain.messages import Template
from otp_service.domain.verification import DeliveryStatus
from otp_service.sandbox import SandboxConfig, start_sandbox
from otp_service.services.verification import SendOutcome
from otp_service.sms.aliyun.signed_request import AccessKey
from otp_service.sms.aliyun.sms import AliyunSms
from otp_service.sms.factory import aliyun_sms
from otp_service.sms.router import Route, SmsRouter

MAIN, SPARE = Template("*", "SMS_100000001"), Template("*", "SMS_100000002")


@dataclass
class TwoRoutes:
    """A user, the first route's server, and the recorded events."""

    scenario: Scenario
    events: RecordingEvents

    def request(self, phone: str) -> SendOutcome | OtpError:
        try:
            return self.scenario.request(phone)
        except OtpError as error:
            return error

    def routes(self) -> list[object]:
        """Return the route that sent each SMS, or the last one that rejected it."""
        return [facts["route"] for event, facts in self.events.emitted if event == "sms_send"]

    def count(self, event: str) -> int:
        return [name for name, _ in self.events.emitted].count(event)


def provider(url: str, clock: MixedClock) -> AliyunSms:
    return aliyun_sms(
        keys=[AccessKey("testId", "testSecret")],
        sign_name="云通信测试",
        clock=clock,
        endpoint=url,
        max_in_flight=4,
        read_seconds=0.4,
    )


@contextmanager
def running_two_routes(redis: Server, first_url: str, deadline: float = 6.0) -> Iterator[TwoRoutes]:
    """Run a service whose first route uses *first_url* and whose second route uses a sandbox."""
    clock, events = MixedClock(), RecordingEvents()
    with (
        redis.client() as client,
        start_sandbox(SandboxConfig.default({"testId": "testSecret"})) as sandbox,
    ):
        routes = [
            Route("main", provider(first_url, clock), (MAIN,)),
            Route("spare", provider(sandbox.url, clock), (SPARE,)),
        ]
        router = SmsRouter(routes=routes, clock=clock, events=events, max_in_flight=4)
        yield TwoRoutes(build(client, router, clock, sandbox, deadline=deadline, events=events), events)
        assert router.close(5)


def refusal(code: str, status: int = 200) -> Behave:
    return wire.answers(
        response(json.dumps({"Code": code, "Message": "x", "RequestId": "r"}).encode(), status)
    )


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("isv.AMOUNT_NOT_ENOUGH", 200),
        ("isv.OUT_OF_SERVICE", 200),
        ("isv.DAY_LIMIT_CONTROL", 200),
        ("isp.RAM_PERMISSION_DENY", 200),
        ("isv.SMS_SIGNATURE_ILLEGAL", 200),
        ("isv.SMS_TEMPLATE_ILLEGAL", 200),
        ("InvalidAccessKeyId.Inactive", 400),
        ("InvalidAccessKeyId.NotFound", 404),
        ("SignatureDoesNotMatch", 400),
        ("Throttling.User", 400),
    ],
)
def test_next_route_sends_after_an_error_of_the_first_routes_account(
    redis_server: Server, code: str, status: int
) -> None:
    phone = new_phone()
    with (
        WireServer(refusal(code, status)) as first,
        running_two_routes(redis_server, first.url) as two_routes,
    ):
        outcome = two_routes.request(phone)

        assert isinstance(outcome, SendOutcome), outcome
        assert outcome.verification.delivery is DeliveryStatus.ACCEPTED
        assert two_routes.scenario.sms_count(phone) == 1
    assert (len(first.requests), two_routes.routes(), two_routes.count("route_failover")) == (1, ["spare"], 1)


def test_next_route_sends_if_the_connection_to_the_first_fails(redis_server: Server) -> None:
    phone = new_phone()
    with running_two_routes(redis_server, f"http://127.0.0.1:{closed_port()}") as two_routes:
        assert isinstance(two_routes.request(phone), SendOutcome)
        assert two_routes.scenario.sms_count(phone) == 1
    assert two_routes.routes() == ["spare"]


def test_next_route_sends_while_the_first_is_suspended(redis_server: Server) -> None:
    """The first rejection costs a call, the following sends cost none."""
    with (
        WireServer(refusal("isv.AMOUNT_NOT_ENOUGH")) as first,
        running_two_routes(redis_server, first.url) as two_routes,
    ):
        phones = [new_phone() for _ in range(3)]
        for phone in phones:
            assert isinstance(two_routes.request(phone), SendOutcome)

        assert [two_routes.scenario.sms_count(phone) for phone in phones] == [1, 1, 1]
    assert (len(first.requests), two_routes.count("route_suspended")) == (1, 1)


def test_next_route_sends_while_the_circuit_of_the_first_is_open(redis_server: Server) -> None:
    with WireServer(wire.hangs_up) as first, running_two_routes(redis_server, first.url) as two_routes:
        phones = [new_phone() for _ in range(6)]
        for phone in phones:
            assert isinstance(two_routes.request(phone), SendOutcome)

        assert [two_routes.scenario.sms_count(phone) for phone in phones] == [0, 0, 0, 0, 0, 1]
    assert (len(first.requests), two_routes.routes()) == (5, ["main"] * 5 + ["spare"])


UNKNOWN: dict[str, Behave] = {
    "no answer": wire.stalls,
    "connection closed": wire.hangs_up,
    "connection reset": wire.resets(),
    "half an answer": wire.answers_and_hangs_up(response(wire.OK)[:-20]),
    "a page": wire.answers(response(b"<html>", 502)),
    "a failure": wire.answers(response(b'{"Code":"InternalError"}', 500)),
    "no code": wire.answers(response(b"{}")),
    "another address": wire.answers(response(b"", 302, "Location: http://127.0.0.1:9/")),
    "a failure inside": refusal("isp.SYSTEM_ERROR"),
    "a used nonce": refusal("SignatureNonceUsed", 400),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_next_route_is_not_used_if_the_first_may_have_sent(redis_server: Server, name: str) -> None:
    phone = new_phone()
    with WireServer(UNKNOWN[name]) as first, running_two_routes(redis_server, first.url) as two_routes:
        outcome = two_routes.request(phone)

        assert isinstance(outcome, SendOutcome), outcome
        assert outcome.verification.delivery is DeliveryStatus.UNKNOWN
        assert two_routes.scenario.sms_count(phone) == 0
    assert (len(first.requests), two_routes.routes()) == (1, ["main"])


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("isv.MOBILE_NUMBER_ILLEGAL", DestinationRejected),
        ("isv.BLACK_KEY_CONTROL_LIMIT", DestinationRejected),
        ("isv.BUSINESS_LIMIT_CONTROL", ProviderRateLimited),
    ],
)
def test_next_route_is_not_used_for_a_number_that_the_first_rejected(
    redis_server: Server, code: str, error: type[OtpError]
) -> None:
    phone = new_phone()
    with WireServer(refusal(code)) as first, running_two_routes(redis_server, first.url) as two_routes:
        assert type(two_routes.request(phone)) is error
        assert two_routes.scenario.sms_count(phone) == 0
    assert two_routes.routes() == ["main"]


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("isv.AMOUNT_NOT_ENOUGH", 200, ProviderMisconfigured),
        ("Throttling.User", 400, ProviderUnavailable),
    ],
)
def test_next_route_is_not_used_when_too_little_time_remains(
    redis_server: Server, code: str, status: int, error: type[OtpError]
) -> None:
    """After 0.2 of 2.6 seconds, less time remains than a second route needs."""
    phone = new_phone()

    def slowly(connection: socket.socket) -> None:
        time.sleep(0.2)
        refusal(code, status)(connection)

    with WireServer(slowly) as first, running_two_routes(redis_server, first.url, deadline=2.6) as two_routes:
        assert type(two_routes.request(phone)) is error
        assert two_routes.scenario.sms_count(phone) == 0
    assert two_routes.routes() == ["main"]
