"""Two access keys at once, during a rotation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sms.doubles import CODE, MAINLAND, TEMPLATE, RealClock, sms
from sms.wire import WireServer, answers, response

from otp_service.domain.messages import FailureCause, SendStatus
from otp_service.domain.phone import Phone
from otp_service.sandbox import SandboxConfig, SandboxServer, start_sandbox
from otp_service.sms.aliyun.signed_request import AccessKey
from otp_service.sms.factory import aliyun_sms

GOOD = AccessKey("testId", "testSecret")
DISABLED = AccessKey("oldId", "oldSecret")
WRONG = AccessKey("testId", "mistyped")


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with start_sandbox(SandboxConfig.default({"testId": "testSecret"})) as server:
        yield server


def outcomes(url: str, *keys: AccessKey, sends: int = 1) -> list[SendStatus]:
    clock = RealClock()
    provider = aliyun_sms(keys=keys, sign_name="云通信测试", clock=clock, endpoint=url)
    phones = [Phone(f"+86138{n:08}", "CN", "mobile", 86) for n in range(sends)]
    try:
        return [
            provider.send(sms(phone=phone), TEMPLATE, clock.monotonic() + 5).outcome.status
            for phone in phones
        ]
    finally:
        provider.close()


@pytest.mark.parametrize("refused", [DISABLED, WRONG], ids=["unknown key", "wrong secret"])
def test_other_key_is_used_if_one_is_refused(sandbox: SandboxServer, refused: AccessKey) -> None:
    assert outcomes(sandbox.url, refused, GOOD, sends=2) == [SendStatus.ACCEPTED] * 2


def test_working_key_stays_in_use() -> None:
    refusal = response(b'{"Code":"InvalidAccessKeyId.Inactive"}', 400)
    accepted = response(b'{"Code":"OK","BizId":"1^0"}')
    with WireServer(lambda connection: _by_key(connection, server, refusal, accepted)) as server:
        assert outcomes(server.url, DISABLED, GOOD, sends=3) == [SendStatus.ACCEPTED] * 3

    assert [b"AccessKeyId=oldId" in request for request in server.requests] == [True, False, False, False]


def _by_key(connection: object, server: WireServer, refusal: bytes, accepted: bytes) -> None:
    answers(refusal if b"AccessKeyId=oldId" in server.requests[-1] else accepted)(connection)  # type: ignore[arg-type]


def test_two_refused_keys_are_tried_once_each() -> None:
    refusal = response(b'{"Code":"InvalidAccessKeyId.NotFound"}', 404)
    with WireServer(answers(refusal)) as server:
        assert outcomes(server.url, DISABLED, WRONG) == [SendStatus.REFUSED]

    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        response(b'{"Code":"SignatureDoesNotMatch"}', 500),
        response(b'{"Code":"isv.AMOUNT_NOT_ENOUGH"}'),
        response(b'{"Code":"Throttling.User"}', 400),
        response(b'{"Code":"InvalidAccessKeyId.NotFound"}'),
    ],
    ids=["not the gateway's word", "arrears", "throttled", "with a 200"],
)
def test_no_other_response_causes_a_second_request(answer: bytes) -> None:
    with WireServer(answers(answer)) as server:
        outcomes(server.url, GOOD, DISABLED)

    assert len(server.requests) == 1


def test_refused_single_key_is_an_account_error(sandbox: SandboxServer) -> None:
    clock = RealClock()
    provider = aliyun_sms(keys=[DISABLED], sign_name="云通信测试", clock=clock, endpoint=sandbox.url)
    outcome = provider.send(sms(), TEMPLATE, clock.monotonic() + 5).outcome
    provider.close()

    assert (outcome.cause, outcome.provider_code) == (FailureCause.ACCOUNT, "InvalidAccessKeyId.NotFound")
    assert MAINLAND.national not in repr(outcome)
    assert CODE not in repr(outcome)
