"""Every response that a provider may send: what is recorded, what stays counted, and the API's response.

The real service with the real store, router and provider. Before the scripted answer goes out, the request is
passed on to the sandbox, as if the provider had acted: there the SMS are counted, and there is only ever one.
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import fakeredis
import pytest
from generate_error_docs import response_to_caller
from sms import wire
from sms.wire import Behave, WireServer, response
from support import fakes
from support.events import RecordingEvents
from support.fakes import NOW, SHOP, FakeClock, purposes, signer
from support.waiting import eventually

from otp_service.domain.crypto import Keyring
from otp_service.domain.errors import (
    DestinationRejected,
    OtpError,
    ProviderMisconfigured,
    ProviderRateLimited,
    ProviderUnavailable,
    RetryableError,
    VerificationNotFound,
)
from otp_service.domain.limits import CodeLimits, PhoneLimits
from otp_service.domain.messages import Template
from otp_service.domain.phone import PhoneRules
from otp_service.domain.policy import Policy
from otp_service.domain.risk import PhoneKey, PrecheckRequest
from otp_service.sandbox import SandboxConfig, start_sandbox
from otp_service.services.dispatch import MAX_RETRY_AFTER_HINT
from otp_service.services.verification import SendOutcome, VerificationService
from otp_service.sms.aliyun.protocol.codes import CODES
from otp_service.sms.aliyun.protocol.gateway_codes import GATEWAY_FAMILIES
from otp_service.sms.aliyun.signed_request import AccessKey
from otp_service.sms.factory import aliyun_sms
from otp_service.sms.router import Route, SmsRouter
from otp_service.store import keys
from otp_service.store.verifications import RedisStore
from otp_service.web.api import problems
from otp_service.web.api.endpoints import _ACCEPTED
from otp_service.web.api.request_log import CurrentRequestLog

PHONE, NATIONAL = "+8613800138000", "13800138000"
LEAK = "机密 leaked text"
"""Part of every `Message`, because Aliyun's messages repeat parts of the request."""


@dataclass(frozen=True)
class Expected:
    """The expected end of a request: the disposition, what stays counted, and the response."""

    disposition: str
    quota_kept: bool
    budget_used: int
    state: str
    error: type[OtpError] | None
    status: int


ACCEPTED = Expected("accepted", quota_kept=True, budget_used=1, state="pending", error=None, status=201)
UNKNOWN = Expected("unknown", quota_kept=True, budget_used=1, state="pending", error=None, status=202)
REJECTED = Expected(
    "rejected", quota_kept=True, budget_used=0, state="canceled", error=DestinationRejected, status=422
)
THROTTLED = Expected(
    "throttled", quota_kept=True, budget_used=0, state="pending", error=ProviderRateLimited, status=429
)
MISCONFIGURED = Expected(
    "withdrawn", quota_kept=False, budget_used=0, state="gone", error=ProviderMisconfigured, status=502
)
UNAVAILABLE = Expected(
    "withdrawn", quota_kept=False, budget_used=0, state="gone", error=ProviderUnavailable, status=503
)


@dataclass(frozen=True)
class Case:
    """The behavior of the server, the expected end, and the expected wait."""

    behave: Behave
    expected: Expected
    wait: int | None = None
    """The `retry_after` of the error."""
    read_seconds: float = 3.0
    deadline: float = 5.0


class Acting(WireServer):
    """Forwards each request to a sandbox and then responds as scripted."""

    def __init__(self, behave: Behave) -> None:
        config = SandboxConfig.default({"testId": "testSecret"})
        self.sandbox = start_sandbox(config, clock=lambda: datetime.fromtimestamp(NOW, UTC))
        super().__init__(lambda connection: self._act(connection, behave))

    def _act(self, connection: socket.socket, behave: Behave) -> None:
        with socket.create_connection(("127.0.0.1", urlsplit(self.sandbox.url).port), 10) as sandbox:
            sandbox.sendall(self.requests[-1])
            assert b"200" in sandbox.recv(16)
        behave(connection)

    def sms(self) -> int:
        """Count the SMS."""
        with urlopen(f"{self.sandbox.inbox_url}.json") as answer:  # noqa: S310 - loopback
            return len(json.load(answer))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self.sandbox.close()


class NoReader(WireServer):
    """Resets every connection once data has arrived, without reading it."""

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.recv(1, socket.MSG_PEEK)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answer(code: object, message: object = LEAK, **more: object) -> bytes:
    fields = {"Message": message, "RequestId": "F655A8D5-B967", "Code": code, **more}
    return json.dumps(fields, ensure_ascii=False).encode()


def says(body: bytes, expected: Expected, *headers: str, status: int = 200, wait: int | None = None) -> Case:
    return Case(wire.answers(response(body, status, *headers)), expected, wait)


def flow(message: object, wait: int) -> Case:
    return says(answer("isv.BUSINESS_LIMIT_CONTROL", message), THROTTLED, wait=wait)


CODE_ENDINGS: dict[str, tuple[int, Expected]] = {
    # Written by hand, because it checks the table.
    "OK": (200, ACCEPTED),
    "isv.BUSINESS_LIMIT_CONTROL": (200, THROTTLED),
    "isv.DAY_LIMIT_CONTROL": (200, MISCONFIGURED),
    "isv.MONTH_LIMIT_CONTROL": (200, MISCONFIGURED),
    "isv.MOBILE_NUMBER_ILLEGAL": (200, REJECTED),
    "isv.BLACK_KEY_CONTROL_LIMIT": (200, REJECTED),
    "isv.CUSTOMER_REFUSED": (200, REJECTED),
    "isv.MOBILE_COUNT_OVER_LIMIT": (200, MISCONFIGURED),
    "isv.TEMPLATE_MISSING_PARAMETERS": (200, MISCONFIGURED),
    "isv.TEMPLATE_PARAMS_ILLEGAL": (200, MISCONFIGURED),
    "isv.INVALID_JSON_PARAM": (200, MISCONFIGURED),
    "isv.INVALID_PARAMETERS": (200, MISCONFIGURED),
    "isv.PARAM_LENGTH_LIMIT": (200, MISCONFIGURED),
    "isv.PARAM_NOT_SUPPORT_URL": (200, MISCONFIGURED),
    "isv.SMS_TEST_TEMPLATE_PARAMS_ILLEGAL": (200, MISCONFIGURED),
    "isv.SMS_TEMPLATE_ILLEGAL": (200, MISCONFIGURED),
    "isv.SMS_SIGNATURE_ILLEGAL": (200, MISCONFIGURED),
    "isv.SMS_SIGN_ILLEGAL": (200, MISCONFIGURED),
    "isv.SIGN_STATE_ILLEGAL": (200, MISCONFIGURED),
    "isv.SMS_SIGNATURE_SCENE_ILLEGAL": (200, MISCONFIGURED),
    "isv.SMS_TEST_SIGN_TEMPLATE_LIMIT": (200, MISCONFIGURED),
    "isv.SMS_TEST_NUMBER_LIMIT": (200, MISCONFIGURED),
    "isv.DOMESTIC_NUMBER_NOT_SUPPORTED": (200, MISCONFIGURED),
    "isv.SMS_CONTENT_ILLEGAL": (200, MISCONFIGURED),
    "isv.UNSUPPORTED_CONTENT": (200, MISCONFIGURED),
    "isv.SMS_CONTENT_MISMATCH_TEMPLATE_TYPE": (200, MISCONFIGURED),
    "isv.SMS_SIGN_EMOJI_ILLEGAL": (200, MISCONFIGURED),
    "isv.EXTEND_CODE_ERROR": (200, MISCONFIGURED),
    "isv.ONE_CODE_MULTIPLE_SIGN": (200, MISCONFIGURED),
    "isv.CODE_EXCEED_LIMIT": (200, MISCONFIGURED),
    "isv.CODE_ERROR": (200, MISCONFIGURED),
    "isv.DENY_IP_RANGE": (200, MISCONFIGURED),
    "isp.RAM_PERMISSION_DENY": (200, MISCONFIGURED),
    "isv.OUT_OF_SERVICE": (200, MISCONFIGURED),
    "isv.AMOUNT_NOT_ENOUGH": (200, MISCONFIGURED),
    "isv.PRODUCT_UN_SUBSCRIPT": (200, MISCONFIGURED),
    "isv.PRODUCT_UNSUBSCRIBE": (200, MISCONFIGURED),
    "isv.ACCOUNT_NOT_EXISTS": (200, MISCONFIGURED),
    "isv.ACCOUNT_ABNORMAL": (200, MISCONFIGURED),
    "isv.SECURITY_FROZEN_ACCOUNT": (200, MISCONFIGURED),
    "isv.INTERFACE_OFFLINE": (200, MISCONFIGURED),
    "isp.SYSTEM_ERROR": (200, UNKNOWN),
    "isp.GATEWAY_ERROR": (200, UNKNOWN),
    "MissingAccessKeyId": (400, MISCONFIGURED),
    "InvalidAccessKeyId.NotFound": (404, MISCONFIGURED),
    "InvalidAccessKeyId.Inactive": (400, MISCONFIGURED),
    "SignatureDoesNotMatch": (400, MISCONFIGURED),
    "IncompleteSignature": (400, MISCONFIGURED),
    "InvalidSignatureMethod": (400, MISCONFIGURED),
    "SignatureNonceUsed": (400, UNKNOWN),
    "InvalidTimeStamp.Format": (400, MISCONFIGURED),
    "InvalidTimeStamp.Expired": (400, MISCONFIGURED),
    "InvalidVersion": (400, MISCONFIGURED),
    "InvalidAction.NotFound": (404, MISCONFIGURED),
    "InvalidApi.NotFound": (404, MISCONFIGURED),
    "UnsupportedHTTPMethod": (400, MISCONFIGURED),
    "InvalidProtocol.NeedSsl": (404, MISCONFIGURED),
    "Forbidden.RAM": (403, MISCONFIGURED),
    "NoPermission": (403, MISCONFIGURED),
    "InvalidSecurityToken.Expired": (403, MISCONFIGURED),
    "InvalidSecurityToken.Malformed": (403, MISCONFIGURED),
    "InvalidSecurityToken.MismatchWithAccessKey": (403, MISCONFIGURED),
    "Throttling.User": (400, UNAVAILABLE),
    "Throttling.Api": (400, UNAVAILABLE),
    # Families, and unknown codes.
    "Throttling": (429, UNAVAILABLE),
    "ServiceUnavailable": (503, UNKNOWN),
    "InternalError": (500, UNKNOWN),
    "Forbidden.Whatever": (403, MISCONFIGURED),
    "InvalidAccessKeyId.Whatever": (400, MISCONFIGURED),
    "InvalidSecurityToken.Whatever": (403, MISCONFIGURED),
    "MissingSignName": (400, MISCONFIGURED),
    "InvalidFormat": (400, MISCONFIGURED),
    "isv.UNKNOWN_CODE": (200, MISCONFIGURED),
    "isp.UNKNOWN_CODE": (200, UNKNOWN),
    "UnknownCode": (400, UNAVAILABLE),
    # PNVS's codes in a response of SendSms, where their meaning is not documented.
    "BUSINESS_LIMIT_CONTROL": (200, UNKNOWN),
    "FREQUENCY_FAIL": (200, UNKNOWN),
}
CODE_CASES = {
    code: says(answer(code, BizId="9^0"), expected, status=status)
    for code, (status, expected) in CODE_ENDINGS.items()
}

SHAPES = {
    "OK on 202": says(answer("OK", BizId="9^0"), ACCEPTED, status=202),
    "OK without BizId": says(answer("OK"), ACCEPTED),
    "OK with a number as BizId": says(answer("OK", BizId=9), ACCEPTED),
    "OK with unknown members": says(answer("OK", BizId="9^0", Extra=[LEAK]), ACCEPTED),
    "OK in gzip": says(gzip.compress(answer("OK", BizId="9^0")), ACCEPTED, "Content-Encoding: gzip"),
    "OK on 400": says(answer("OK"), UNKNOWN, status=400),
    "OK on 500": says(answer("OK"), UNKNOWN, status=500),
    "lower-case ok": says(answer("ok", BizId="9^0"), UNKNOWN),
    "OK with a space": says(answer("OK "), UNKNOWN),
    "OK in lower-case code": says(b'{"code":"OK","bizId":"9^0"}', UNKNOWN),
    "OK in an array": says(b"[" + answer("OK") + b"]", UNKNOWN),
    "OK one level down": says(b'{"Body":' + answer("OK") + b"}", UNKNOWN),
    "Code is an int": says(answer(200), UNKNOWN),
    "Code is true": says(answer(code=True), UNKNOWN),
    "Code is null": says(answer(None), UNKNOWN),
    "Code is a list": says(answer(["OK"]), UNKNOWN),
    "Code is an object": says(answer({"OK": "OK"}), UNKNOWN),
    "Code is empty": says(answer(""), UNKNOWN),
    "Code is Aliyun's text": says(answer(LEAK), UNKNOWN),
    "empty 200": says(b"", UNKNOWN),
    "empty object": says(b"{}", UNKNOWN),
    "null": says(b"null", UNKNOWN),
    "a text": says(b'"OK"', UNKNOWN),
    "truncated JSON": says(answer("OK")[:-9], UNKNOWN),
    "truncated refusal": says(answer("isv.AMOUNT_NOT_ENOUGH")[:-1], UNKNOWN),
    "no UTF-8": says(b'{"Code":"OK\xff"}', UNKNOWN),
    "XML": says(b"<SendSmsResponse><Code>OK</Code></SendSmsResponse>", UNKNOWN, "Content-Type: text/xml"),
    "HTML on 200": says(f"<html>{LEAK}</html>".encode(), UNKNOWN, "Content-Type: text/html"),
    "HTML on 403": says(f"<html>{LEAK}</html>".encode(), UNKNOWN, "Content-Type: text/html", status=403),
    "HTML on 502": says(f"<html>{LEAK}</html>".encode(), UNKNOWN, "Content-Type: text/html", status=502),
    "empty 204": says(b"", UNKNOWN, status=204),
    "empty 429": says(b"", UNKNOWN, status=429),
    "301 elsewhere": says(b"", UNKNOWN, "Location: /again", status=301),
    "302 elsewhere": says(b"", UNKNOWN, "Location: /again", status=302),
    "307 with a refusal": says(answer("isv.AMOUNT_NOT_ENOUGH"), UNKNOWN, "Location: /again", status=307),
    "308 elsewhere": says(answer("OK"), UNKNOWN, "Location: /again", status=308),
    "401 that asks for a password": says(b"", UNKNOWN, "WWW-Authenticate: Basic", status=401),
    "504 with a refusal": says(answer("isv.AMOUNT_NOT_ENOUGH"), UNKNOWN, status=504),
    "503 that says when": says(answer("ServiceUnavailable"), UNKNOWN, "Retry-After: 1", status=503),
}

WAITS = {
    # The provider's clock shows 08:07:41.25 UTC.
    "flow control of the minute": flow(f"触发分钟级流控Permits:1 {LEAK}", 19),
    "flow control of the hour": flow(f"触发小时级流控Permits:5 {LEAK}", 52 * 60 + 19),
    "flow control of the day": flow(f"触发天级流控Permits:10 {LEAK}", 86_400),
    "flow control of the number": flow(f"触发号码天级流控Permits:40 {LEAK}", 86_400),
    "flow control in other words": flow(LEAK, 60),
    "flow control without words": flow(None, 60),
    "throttled for 1.5 s": says(
        answer("Throttling.User"), UNAVAILABLE, "x-acs-retry-after: 1500", status=400, wait=2
    ),
    "throttled for 7 s": says(
        answer("Throttling.Api"), UNAVAILABLE, "X-Acs-Retry-After: 7000", status=429, wait=7
    ),
    "throttled for nonsense": says(
        answer("Throttling.User"), UNAVAILABLE, "x-acs-retry-after: soon", status=400, wait=2
    ),
    "throttled without a time": says(answer("Throttling"), UNAVAILABLE, status=400, wait=2),
}

_OK = response(answer("OK", BizId="9^0"))
_BOMB = gzip.compress(bytes(4_000_000))
HURRIED: dict[str, Any] = {"read_seconds": 0.15}
LATE: dict[str, Any] = {"deadline": 0.6}

WIRES = {
    "connection closed": Case(wire.hangs_up, UNKNOWN),
    "reset after reading": Case(wire.resets(), UNKNOWN),
    "reset within the head": Case(wire.resets(_OK[:20]), UNKNOWN),
    "reset within the body": Case(wire.resets(_OK[:-9]), UNKNOWN),
    "closed within the body": Case(wire.answers_and_hangs_up(_OK[:-9]), UNKNOWN),
    "not HTTP": Case(wire.answers_and_hangs_up(b"220 smtp.example.org ESMTP\r\n"), UNKNOWN),
    "broken chunks": Case(
        wire.answers_and_hangs_up(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\r\nzz\r\n"),
        UNKNOWN,
    ),
    "gzip that is none": says(answer("OK"), UNKNOWN, "Content-Encoding: gzip"),
    "gzip bomb": says(_BOMB, UNKNOWN, "Content-Encoding: gzip"),
    "huge body": says(b" " * 70_000 + answer("OK"), UNKNOWN),
    "endless head": Case(
        wire.answers_and_hangs_up(b"HTTP/1.1 200 OK\r\n" + b"X-Header: x\r\n" * 200), UNKNOWN
    ),
    "silence": Case(wire.stalls, UNKNOWN, **HURRIED),
    "slow head": Case(wire.drips(_OK), UNKNOWN, **HURRIED),
    "slow body": Case(wire.drips(response(b"{" + b" " * 200)), UNKNOWN, **HURRIED),
    "silence beyond the deadline": Case(wire.stalls, UNKNOWN, **LATE),
    "slow head beyond the deadline": Case(wire.drips(_OK), UNKNOWN, **LATE),
    "slow body beyond the deadline": Case(wire.drips(response(b"{" + b" " * 200)), UNKNOWN, **LATE),
}

CASES = {**CODE_CASES, **SHAPES, **WAITS, **WIRES}


class FrozenWallClock(FakeClock):
    """The wall clock stands still; the monotonic clock, which deadlines use, is real."""

    def monotonic(self) -> float:
        return time.monotonic()


class RecordingKeyring(Keyring):
    """Remembers the newest id, because a failed request does not return it."""

    newest_id = ""

    def verification_hash(self, verification_id: str) -> str:
        self.newest_id = verification_id
        return super().verification_hash(verification_id)


class ServiceWithRoute:
    """A service with one route to *url*, and its state after a request."""

    def __init__(self, url: str, case: Case) -> None:
        self.events = RecordingEvents()
        self._redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
        self._store = RedisStore(self._redis, self.events, shebang=False)
        self._policy = Policy(
            phones=PhoneRules(),
            purposes=purposes((SHOP,)),
            phone_limits=PhoneLimits(),
            code_limits=CodeLimits(),
            sms_per_day=10_000,
            deadline=case.deadline,
        )
        self._keyring = RecordingKeyring(
            {"k1": b"root secret ".ljust(32, b"1")}, "k1", b"pseudonym key ".ljust(32, b"2")
        )
        clock = FrozenWallClock(NOW + 0.25)
        provider = aliyun_sms(
            keys=[AccessKey("testId", "testSecret")],
            sign_name="云通信测试",
            clock=clock,
            endpoint=url,
            max_in_flight=1,
            read_seconds=case.read_seconds,
        )
        route = Route("main", provider, (Template("*", "SMS_100000000"),))
        self.router = SmsRouter(routes=[route], clock=clock, events=self.events, max_in_flight=1)
        self._service = VerificationService(
            policy=self._policy,
            keyring=self._keyring,
            signers={SHOP.id: signer(SHOP.id, clock)},
            store=self._store,
            sender=self.router,
            counters=fakes.FakeCounters(),
            challenges=None,
            clock=clock,
            events=self.events,
            log_context=CurrentRequestLog(),
        )

    def request(self) -> SendOutcome | OtpError:
        try:
            return self._service.request(SHOP, PHONE, purpose="login")
        except OtpError as error:
            return error

    def phone_wait(self) -> int | None:
        """Return how long the phone must wait for its next SMS; None if it need not."""
        phone_key = PhoneKey(self._keyring.phone_hash(PHONE), self._policy.phone_limits)
        refusal = self._store.precheck(
            phone_key, "shop", self._policy.code_limits.max_attempts, PrecheckRequest()
        ).rejection
        return refusal.retry_after if isinstance(refusal, RetryableError) else None

    def budget_used(self) -> set[int]:
        """Return the SMS charged to the budgets of the service and of the client."""
        kept = [self._redis.get(keys.budget(scope)) or b"0 0" for scope in ("service", f"client:{SHOP.id}")]
        return {int(text.split()[1]) for text in kept}

    def state(self) -> str:
        verification_id = self._keyring.newest_id
        try:
            return self._service.status(SHOP, PHONE, verification_id).verification.status.value
        except VerificationNotFound:
            return "gone"


@contextmanager
def running_service(url: str, case: Case) -> Iterator[ServiceWithRoute]:
    service = ServiceWithRoute(url, case)
    try:
        yield service
    finally:
        assert service.router.close(5)


def assert_expected(service: ServiceWithRoute, result: SendOutcome | OtpError, case: Case) -> None:
    expected = case.expected
    assert service.router.close(5)
    assert {facts["outcome"] for facts in service.events.of("sms_send")} == {expected.disposition}
    assert (service.phone_wait() is not None) is expected.quota_kept
    assert service.budget_used() == {expected.budget_used}
    assert service.state() == expected.state
    assert status_of(result, expected.error) == expected.status
    if case.wait is not None:
        assert isinstance(result, RetryableError)
        most = MAX_RETRY_AFTER_HINT if isinstance(result, ProviderUnavailable) else case.wait
        assert result.retry_after == min(case.wait, most)
    if expected is THROTTLED and isinstance(result, RetryableError):
        assert result.retry_after - 5 <= (service.phone_wait() or 0) <= result.retry_after
    assert_silent(service, result)


def status_of(result: SendOutcome | OtpError, error: type[OtpError] | None) -> int:
    assert type(result) is (error or SendOutcome)
    if isinstance(result, OtpError):
        return problems.STATUSES[type(result)]
    return 201 if result.verification.delivery in _ACCEPTED else 202


def assert_silent(service: ServiceWithRoute, result: SendOutcome | OtpError) -> None:
    """Assert that neither Aliyun's `Message` nor the number in it is revealed."""
    texts = [repr(result), str(result), repr(service.events.emitted)]
    if isinstance(result, OtpError):
        document = problems.document(result, "r")
        assert document["code"] == result.code
        texts += [repr(result.members()), json.dumps(document, ensure_ascii=False), repr(result.__context__)]
    assert [text for text in texts if LEAK in text or "流控" in text or NATIONAL in text] == []


@pytest.mark.parametrize("name", CASES)
def test_every_response_leads_to_its_outcome(name: str) -> None:
    case = CASES[name]
    with Acting(case.behave) as server, running_service(server.url, case) as service:
        result = service.request()

        assert_expected(service, result, case)
        assert (len(server.requests), server.connections) == (1, 1)
        assert eventually(lambda: server.sms() == 1)


def test_reset_connection_may_have_carried_the_request() -> None:
    case = Case(wire.stalls, UNKNOWN)
    with NoReader(wire.stalls) as server, running_service(server.url, case) as service:
        result = service.request()

        assert_expected(service, result, case)
        assert (len(server.requests), server.connections) == (0, 1)


def test_refused_connection_carried_nothing() -> None:
    case = Case(wire.stalls, UNAVAILABLE, wait=2)
    with WireServer(wire.stalls) as server:
        url = server.url
    with running_service(url, case) as service:
        assert_expected(service, service.request(), case)


def test_every_code_and_family_is_tested() -> None:
    others = [code for code in CODE_ENDINGS if code not in CODES]

    assert set(CODES) - set(CODE_ENDINGS) == set()
    assert [row.code for row in GATEWAY_FAMILIES if not any(c.startswith(row.code) for c in others)] == []
    assert len(CASES) >= 60


@pytest.mark.parametrize("code", CODES)
def test_table_and_docs_agree(code: str) -> None:
    status, expected = CODE_ENDINGS[code]

    assert CODES[code].http_status == status
    assert response_to_caller(CODES[code]).split()[0] == str(expected.status)
