"""Fakes of the interfaces of the services, which record their calls and raise errors that a test sets.

The store is the real one, on fakeredis: see `recording_store`. The sandbox, not a fake, imitates Aliyun.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from support.events import RecordingEvents
from support.recording_store import RecordingPages, RecordingStore

from otp_service.domain.clients import Client, Clients, key_digest
from otp_service.domain.codes import CodeType
from otp_service.domain.crypto import Keyring
from otp_service.domain.limits import CodeLimits, PhoneLimits
from otp_service.domain.messages import (
    DeliveryLookup,
    DeliveryLookupResult,
    DeliveryLookupStatus,
    SendResult,
    SendStatus,
    SmsMessage,
)
from otp_service.domain.phone import PhoneRules
from otp_service.domain.policy import AccessLists, Policy, RiskPolicy, TestPhone
from otp_service.domain.proofs import ProofKeys, ProofSigner
from otp_service.domain.risk import (
    ChallengeSubject,
    ClientIpQuota,
    ConversionScope,
)
from otp_service.services.hosted_pages import HostedPages
from otp_service.services.verification import VerificationService
from otp_service.web.api.request_log import CurrentRequestLog

NOW = 1_795_421_261.0
"""2026-11-23T08:07:41Z."""

ISSUER = "otp.test"
SHOP_KEY = "sk_shop-0123456789abcdefghijklmnopqrstuvwxyz"
BANK_KEY = "sk_bank-0123456789abcdefghijklmnopqrstuvwxyz"

RETURN_URL = "https://www.shop.example/verified"

SHOP = Client(
    id="shop",
    secret_key_digests=(key_digest(SHOP_KEY),),
    purposes=("login", "signup"),
    sms_per_day=1000,
    may_unlock=True,
    return_urls=frozenset({RETURN_URL}),
)
BANK = Client(
    id="bank",
    secret_key_digests=(key_digest(BANK_KEY),),
    purposes=("transfer",),
    sms_per_day=1000,
    require_client_ip=True,
)


class FakeClock:
    """Shows the same time until a test advances it."""

    def __init__(self, now: float = NOW) -> None:
        self.time = now
        self.ticks = 1_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.ticks

    def advance(self, seconds: float) -> None:
        self.time += seconds
        self.ticks += seconds


@dataclass
class FakeCounters:
    """Records its calls. Every IP address must wait *wait* seconds before more misses are allowed."""

    wait: int = 0
    level: int = 0
    misses: list[ClientIpQuota] = field(default_factory=list)
    failures: int = 0
    approvals: list[tuple[str, int, str, tuple[ConversionScope, ...]]] = field(default_factory=list)
    scopes: list[ConversionScope] = field(default_factory=list)
    counted: list[bool] = field(default_factory=list)
    tripped_checks: list[ConversionScope] = field(default_factory=list)

    def record_miss(self, address: ClientIpQuota) -> None:
        self.misses.append(address)

    def seconds_until_misses_allowed(self, address: ClientIpQuota) -> int:
        return self.wait

    def record_send(
        self, guards: Sequence[ConversionScope], *, is_counted: bool = False, is_urgent: bool = False
    ) -> None:
        self.scopes += guards
        self.counted.append(is_counted)

    def record_tripped(self, guards: Sequence[ConversionScope]) -> None:
        self.tripped_checks += guards

    def record_failure(self) -> None:
        self.failures += 1

    def record_approval(
        self, phone_hash: str, wrong: int, address: ClientIpQuota | None, guards: Sequence[ConversionScope]
    ) -> None:
        self.approvals.append((phone_hash, wrong, address.ip_hash if address else "", tuple(guards)))

    def global_risk_level(self) -> int:
        return self.level


@dataclass
class FakeChallenges:
    """Issues challenges. `<level>:<id>` is a solution of each challenge up to that level, for any subject."""

    ttl: int = 600
    issued: list[tuple[ChallengeSubject, int]] = field(default_factory=list)

    def issue(self, subject: ChallengeSubject, level: int) -> Mapping[str, object]:
        self.issued.append((subject, level))
        return {"algorithm": "fake", "level": level}

    def verify(self, solution: str, subject: ChallengeSubject, level: int) -> str | None:
        solved_level, _, challenge_id = solution.partition(":")
        return challenge_id if solved_level.isdecimal() and int(solved_level) >= level else None


@dataclass
class FakeSender:
    """Adds each SMS to *sent* and returns *outcome*. Lookups return *found*; `permit` may raise *failure*."""

    outcome: SendResult = field(default_factory=lambda: SendResult(SendStatus.ACCEPTED, route="main"))
    failure: Exception | None = None
    sent: list[SmsMessage] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)
    permits: int = 0
    found: DeliveryLookupResult = field(
        default_factory=lambda: DeliveryLookupResult(DeliveryLookupStatus.NO_ANSWER)
    )
    lookups: list[tuple[DeliveryLookup, float]] = field(default_factory=list)

    def lookup_delivery(self, lookup: DeliveryLookup, deadline: float) -> DeliveryLookupResult:
        self.lookups.append((lookup, deadline))
        return self.found

    def supports(self, client: str, purpose: str) -> bool:
        return True

    @contextmanager
    def permit(self) -> Iterator[None]:
        if self.failure is not None:
            raise self.failure
        self.permits += 1
        try:
            yield
        finally:
            self.permits -= 1

    def send(self, sms: SmsMessage, deadline: float) -> SendResult:
        assert self.permits, "a send needs a permit"
        self.sent.append(sms)
        self.deadlines.append(deadline)
        return self.outcome

    @property
    def last_code(self) -> str:
        return self.sent[-1].code.get_secret_value()


@dataclass
class Harness:
    """A real VerificationService, and the fakes that it uses."""

    clock: FakeClock
    events: RecordingEvents
    store: RecordingStore
    sender: FakeSender
    usage_counters: FakeCounters
    challenges: Any
    keyring: Keyring
    clients: Clients
    service: VerificationService
    page_store: RecordingPages
    pages: HostedPages


DEFAULT_CHALLENGES = FakeChallenges()
"""As an argument: let the harness create its own FakeChallenges. None disables challenges."""


def harness(
    *clients: Client,
    deadline: float = 6.0,
    risk: RiskPolicy | None = None,
    lists: AccessLists | None = None,
    test_phones: Mapping[str, TestPhone] | None = None,
    keyring: Keyring | None = None,
    challenges: FakeChallenges | None = DEFAULT_CHALLENGES,
    store: Any = None,
    phones: PhoneRules | None = None,
    **limits: int,
) -> Harness:
    """Return a service for *clients*, by default SHOP and BANK; *limits* are fields of CodeLimits."""
    clients = clients or (SHOP, BANK)
    clock, events, sender = FakeClock(), RecordingEvents(), FakeSender()
    store = store or RecordingStore(clock)
    usage_counters, challenges = (
        FakeCounters(),
        FakeChallenges() if challenges is DEFAULT_CHALLENGES else challenges,
    )
    keyring = keyring or Keyring(
        {"k1": b"root secret ".ljust(32, b"1")}, "k1", b"pseudonym key ".ljust(32, b"2")
    )
    service = VerificationService(
        policy=Policy(
            phones=phones or PhoneRules(),
            purposes=purposes(clients),
            phone_limits=PhoneLimits(),
            code_limits=CodeLimits(**limits),
            sms_per_day=10_000,
            deadline=deadline,
            risk=risk or RiskPolicy(),
            access_lists=lists or AccessLists(),
            test_phones=test_phones or {},
        ),
        keyring=keyring,
        signers={client.id: signer(client.id, clock) for client in clients},
        store=store,
        sender=sender,
        counters=usage_counters,
        challenges=challenges,
        clock=clock,
        events=events,
        log_context=CurrentRequestLog(),
    )
    page_store = RecordingPages(clock)
    pages = HostedPages(
        service=service,
        clients=Clients(clients),
        store=page_store,
        keyring=keyring,
        clock=clock,
        deadline=deadline,
        draw=secrets.token_bytes,
    )
    return Harness(
        clock,
        events,
        store,
        sender,
        usage_counters,
        challenges,
        keyring,
        Clients(clients),
        service,
        page_store,
        pages,
    )


def purposes(clients: Sequence[Client]) -> dict[str, CodeType]:
    """Return the code type of each purpose of *clients*: letters and digits for `transfer`, else digits."""
    names = [purpose for client in clients for purpose in client.purposes]
    return {name: CodeType.ALNUM if name == "transfer" else CodeType.DIGITS for name in names}


def signer(client: str, clock: FakeClock) -> ProofSigner:
    """Return the signer of one client's proofs."""
    key = f"proof key of {client} ".encode().ljust(32, b"3")
    return ProofSigner(ISSUER, client, ProofKeys((key,)), clock.now)
