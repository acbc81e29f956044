"""A service on a real Redis that sends through the sandbox, for tests of requests and resends."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from urllib.parse import quote
from urllib.request import urlopen

import redis
from support import fakes
from support.events import RecordingEvents
from support.fakes import SHOP
from support.phone_in_store import OffsetClockRunner

from otp_service.domain.codes import CodeType
from otp_service.domain.crypto import Keyring
from otp_service.domain.limits import CodeLimits, PhoneLimits
from otp_service.domain.phone import PhoneRules
from otp_service.domain.policy import Policy
from otp_service.sandbox import SandboxServer
from otp_service.services.verification import SendOutcome, VerificationService
from otp_service.sms.router import SmsRouter
from otp_service.store.verifications import RedisStore
from otp_service.web.api.request_log import CurrentRequestLog


class MixedClock(fakes.FakeClock):
    """A wall clock that a test moves; the monotonic clock, which deadlines use, is real."""

    def __init__(self) -> None:
        super().__init__(time.time())

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class Scenario:
    """The service, and the calls that a test makes."""

    service: VerificationService
    runner: OffsetClockRunner
    clock: MixedClock
    sandbox: SandboxServer

    def pass_time(self, seconds: float) -> None:
        """Move the store's clock, which limits and ages are computed from."""
        self.runner.offset_ms += int(seconds * 1000)

    def resend(self, phone: str, sent: SendOutcome) -> SendOutcome:
        return self.service.resend(SHOP, phone, sent.verification_id, client_ip="203.0.113.7")

    def status(self, phone: str, sent: SendOutcome) -> SendOutcome:
        return self.service.status(SHOP, phone, sent.verification_id)

    def request(self, phone: str) -> SendOutcome:
        return self.service.request(SHOP, phone, purpose="login", client_ip="203.0.113.7")

    def sms_count(self, phone: str) -> int:
        """Return the number of SMS that have reached *phone*."""
        with urlopen(f"{self.sandbox.inbox_url}.json?phone={quote(phone)}") as answer:  # noqa: S310
            return len(json.load(answer))


def build(
    client: redis.Redis,
    router: SmsRouter,
    clock: MixedClock,
    sandbox: SandboxServer,
    *,
    deadline: float = 6.0,
    events: RecordingEvents | None = None,
) -> Scenario:
    """Return a service that sends through *router*, with *deadline* seconds for a request."""
    store = RedisStore(client, RecordingEvents())
    runner = OffsetClockRunner(client)
    store.redis.scripts = runner
    service = VerificationService(
        policy=Policy(
            phones=PhoneRules(),
            purposes={"login": CodeType.DIGITS, "signup": CodeType.DIGITS},
            phone_limits=PhoneLimits(),
            code_limits=CodeLimits(),
            sms_per_day=10_000,
            deadline=deadline,
        ),
        keyring=Keyring({"k1": secrets.token_bytes(32)}, "k1", secrets.token_bytes(32)),
        signers={},
        store=store,
        sender=router,
        counters=fakes.FakeCounters(),
        challenges=None,
        clock=clock,
        events=events or RecordingEvents(),
        log_context=CurrentRequestLog(),
    )
    return Scenario(service, runner, clock, sandbox)
