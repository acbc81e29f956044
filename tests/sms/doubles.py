"""Test data, clocks and a scripted provider for the SMS tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from otp_service.domain.codes import Code, CodeType
from otp_service.domain.messages import (
    DeliveryLookup,
    DeliveryLookupResult,
    DeliveryLookupStatus,
    FailureCause,
    SendResult,
    SendStatus,
    SmsMessage,
    Template,
)
from otp_service.domain.phone import Phone
from otp_service.sms.aliyun.signed_request import Signature
from otp_service.sms.aliyun.sms import AliyunSms
from otp_service.sms.provider import ProviderResult, RouteHealth

NUMBER, CODE = "13800138000", "735196"
MAINLAND = Phone("+86" + NUMBER, "CN", "mobile", 86)
HONG_KONG = Phone("+85251234567", "HK", "mobile", 852)
TEMPLATE = Template("*", "SMS_100000000")


def sms(**changes: Any) -> SmsMessage:
    """Return an SMS to a mainland number, with *changes*."""
    fields: dict[str, Any] = {
        "phone": MAINLAND,
        "client": "shop",
        "purpose": "login",
        "locale": "",
        "code": Code(CODE),
        "code_type": CodeType.DIGITS,
        "reference": "abcdefgh",
    }
    return SmsMessage(**{**fields, **changes})


ACCEPTED = ProviderResult(SendResult(SendStatus.ACCEPTED, biz_id="1^0"))
UNKNOWN = ProviderResult(SendResult(SendStatus.UNKNOWN), RouteHealth.TRANSPORT_ERROR)
NOT_SENT = ProviderResult(
    SendResult(SendStatus.REFUSED, cause=FailureCause.PROVIDER), RouteHealth.TRANSPORT_ERROR
)
ARREARS = ProviderResult(
    SendResult(SendStatus.REFUSED, cause=FailureCause.ACCOUNT), RouteHealth.ACCOUNT_ERROR
)
NO_TEMPLATE = ProviderResult(
    SendResult(SendStatus.REFUSED, cause=FailureCause.ACCOUNT), RouteHealth.TEMPLATE_ERROR
)


def refusal(cause: FailureCause) -> ProviderResult:
    return ProviderResult(SendResult(SendStatus.REFUSED, cause=cause))


class ManualClock:
    """A clock that only the test moves."""

    def __init__(self, now: float = 1_795_421_261.0) -> None:
        self.time = now
        self.ticks = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.ticks

    def advance(self, seconds: float) -> None:
        self.time += seconds
        self.ticks += seconds


class RealClock:
    """The system clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class MakeProvider(Protocol):
    def __call__(self, url: str, signature: Signature = ..., **facts: str) -> AliyunSms: ...


class ScriptedProvider:
    """Returns *results* in order, repeats the last one, and records its calls. Lookups return *found*."""

    def __init__(self, *results: ProviderResult, before: Callable[[], None] = lambda: None) -> None:
        self._results = list(results)
        self._before = before
        self._lock = threading.Lock()
        self.sent: list[tuple[SmsMessage, Template]] = []
        self.closed = False
        self.found = DeliveryLookupResult(DeliveryLookupStatus.NOT_FOUND)
        self.lookups: list[DeliveryLookup] = []

    def send(self, sms: SmsMessage, template: Template, deadline: float) -> ProviderResult:
        self._before()
        with self._lock:
            self.sent.append((sms, template))
            return self._results.pop(0) if len(self._results) > 1 else self._results[0]

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        self.lookups.append(lookup)
        return self.found

    def close(self) -> None:
        self.closed = True
