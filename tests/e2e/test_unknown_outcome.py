"""Sends of unknown outcome, with the real service and store, and the sandbox as provider: never two SMS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from e2e.resend_scenario import MixedClock, Scenario, build
from support.events import RecordingEvents
from support.redis_servers import Server

from otp_service.domain.errors import CooldownActive
from otp_service.domain.messages import Template
from otp_service.domain.verification import DeliveryStatus
from otp_service.sandbox import SandboxConfig, start_sandbox
from otp_service.sms.aliyun.signed_request import AccessKey
from otp_service.sms.factory import aliyun_sms
from otp_service.sms.router import Route, SmsRouter

SENT, NOT_SENT = "+8613800005002", "+8613800005001"
"""The connection closes without an answer; of the one an SMS was sent, of the other none."""


@pytest.fixture
def scenario(redis_server: Server) -> Iterator[Scenario]:
    config = replace(SandboxConfig.default({"testId": "testSecret"}), delivery_seconds=3600.0)
    clock = MixedClock()
    with redis_server.client() as client, start_sandbox(config) as sandbox:
        provider = aliyun_sms(
            keys=[AccessKey("testId", "testSecret")],
            sign_name="云通信测试",
            clock=clock,
            endpoint=sandbox.url,
            max_in_flight=4,
            read_seconds=0.3,
        )
        route = Route("main", provider, (Template("*", "SMS_100000001"),))
        router = SmsRouter(routes=[route], clock=clock, events=RecordingEvents(), max_in_flight=4)
        yield build(client, router, clock, sandbox)
        router.close(5)


def test_sms_that_was_sent_is_not_sent_again_and_shown_as_accepted(scenario: Scenario) -> None:
    sent = scenario.request(SENT)
    scenario.pass_time(61)

    again = scenario.resend(SENT, sent)

    assert sent.verification.delivery is DeliveryStatus.UNKNOWN
    assert (again.dispatched, again.verification.delivery) == (False, DeliveryStatus.ACCEPTED)
    assert again.verification.sends_left == 3
    assert scenario.sms_count(SENT) == 1


def test_sms_that_was_not_sent_is_sent_again(scenario: Scenario) -> None:
    sent = scenario.request(NOT_SENT)
    scenario.pass_time(61)

    again = scenario.resend(NOT_SENT, sent)

    assert again.dispatched
    assert [send.number for send in again.verification.sends] == [1, 2]
    assert scenario.sms_count(NOT_SENT) == 0


def test_status_looks_up_unknown_sends(scenario: Scenario) -> None:
    sent, unsent = scenario.request(SENT), scenario.request(NOT_SENT)

    assert scenario.status(SENT, sent).verification.delivery is DeliveryStatus.ACCEPTED
    assert scenario.status(NOT_SENT, unsent).verification.delivery is DeliveryStatus.UNKNOWN


def test_failed_lookup_sends_nothing_twice(scenario: Scenario) -> None:
    sent = scenario.request(SENT)
    scenario.pass_time(61)
    scenario.sandbox.close()

    again = scenario.resend(SENT, sent)

    assert (again.dispatched, again.verification.delivery) == (False, DeliveryStatus.UNKNOWN)
    assert len(again.verification.sends) == 1


def test_cooldown_is_checked_before_the_lookup(scenario: Scenario) -> None:
    sent = scenario.request(SENT)
    scenario.pass_time(30)

    with pytest.raises(CooldownActive):
        scenario.resend(SENT, sent)
