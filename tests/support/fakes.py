"""Fakes: each implements a port, remembers what it was asked, and fails when told to.

They are no model of Redis or Aliyun: limits are a cooldown, budgets are taken and given back, and time is
a clock that a test moves.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

from otp_service.domain.clients import Client, Clients, key_digest
from otp_service.domain.codes import CodeType
from otp_service.domain.crypto import Keyring
from otp_service.domain.errors import (
    AlreadyVerified,
    AttemptsExhausted,
    CooldownActive,
    InvalidCode,
    OtpError,
    ProofRedeemed,
    StoreUnavailable,
    VerificationCanceled,
    VerificationError,
    VerificationExpired,
    VerificationNotFound,
    WrongCode,
)
from otp_service.domain.hosted_page import PageEvent, PageQuota, StoredPage
from otp_service.domain.idempotency import IdempotencyCheck, IdempotencyRecord, IdempotencyState
from otp_service.domain.limits import MAX_VERIFICATION_LIFETIME, Budget, CodeLimits, PhoneLimits
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
    ConversionStats,
    PhoneKey,
    PrecheckRequest,
    PrecheckResult,
    QuotaReservation,
)
from otp_service.domain.verification import (
    Approval,
    CodeAttempt,
    DeliveryReport,
    DeliveryStatus,
    DeliveryUpdate,
    NewVerification,
    ResendReservation,
    SendDisposition,
    SendResultRecord,
    SmsSend,
    Status,
    Verification,
)
from otp_service.observability.logging import LINE_FIELDS
from otp_service.services.hosted_pages import HostedPages
from otp_service.services.verification import VerificationService
from otp_service.web.api.request_log import CurrentRequestLog

NOW = 1_795_421_261.0
"""2026-11-23T08:07:41Z."""

COOLDOWN = 60

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
    """Stands still until a test moves it."""

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


class FakeEvents:
    """Remembers every event."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, object]]] = []

    def emit(self, event: str, **facts: object) -> None:
        assert not LINE_FIELDS & facts.keys()
        self.seen.append((event, facts))

    def of(self, event: str) -> list[dict[str, object]]:
        return [facts for name, facts in self.seen if name == event]


@dataclass
class Kept:
    """One verification, as a fake store keeps it."""

    new: NewVerification
    issued_at: float
    expires_at: float
    attempts_left: int
    status: Status = Status.PENDING
    sends: tuple[SmsSend, ...] = ()
    requester: bytes = b""


@dataclass
class FakeStore:
    """A Store in a dict. Set *failure* and every method raises it, add to *failing* and those fail.

    *known* phones are those approved.
    """

    clock: FakeClock
    failure: Exception | None = None
    failing: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    taken: dict[Budget, int] = field(default_factory=dict)
    available_to: list[int] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    prechecks: list[PrecheckRequest] = field(default_factory=list)
    slots: list[PhoneKey] = field(default_factory=list)
    solved: set[str] = field(default_factory=set)
    released_quotas: list[tuple[str, QuotaReservation]] = field(default_factory=list)
    suspicions: tuple[str, ...] = ()
    guards: tuple[ConversionStats, ...] = ()
    is_slow: bool = False
    persists: bool = True
    clients_without_ip: set[str] = field(default_factory=set)
    is_ip_unreadable: bool = False
    claimed: set[tuple[str, str]] = field(default_factory=set)
    redeemed: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)
    unlocked: list[str] = field(default_factory=list)
    kept: dict[tuple[str, str, str], Kept] = field(default_factory=dict)
    next_send: dict[str, float] = field(default_factory=dict)

    def precheck(
        self, slot: PhoneKey, client: str, attempts: int, run_precheck: PrecheckRequest
    ) -> PrecheckResult:
        self._called("precheck")
        return self._standing(slot, run_precheck, lambda: PrecheckResult(known=slot.phone_hash in self.known))

    def precheck_resend(
        self,
        slot: PhoneKey,
        client: str,
        verification_hash: str,
        run_precheck: PrecheckRequest,
        *,
        opener_only: bool = False,
    ) -> PrecheckResult:
        self._called("precheck_resend")

        def found() -> PrecheckResult:
            self._reach(slot, client, verification_hash, opener_only=opener_only)
            kept = self._pending(slot, client, verification_hash)
            return PrecheckResult(
                slot.phone_hash in self.known, self.clock.now(), kept.new.purpose, kept.sends[-1]
            )

        return self._standing(slot, run_precheck, found)

    def release_quota(self, tag: str, counted: QuotaReservation) -> None:
        self._called("release_quota")
        self.released_quotas.append((tag, counted))

    def _standing(
        self, slot: PhoneKey, run_precheck: PrecheckRequest, look: Callable[[], PrecheckResult]
    ) -> PrecheckResult:
        self.prechecks.append(run_precheck)
        self.slots.append(slot)
        solved = (
            bool(run_precheck.solved_challenge_id) and run_precheck.solved_challenge_id not in self.solved
        )
        self.solved.add(run_precheck.solved_challenge_id)
        try:
            standing = look()
            self._cool(slot)
        except OtpError as error:
            return PrecheckResult(
                known=False,
                rejection=error,
                reservation=QuotaReservation(run_precheck.ip_quota, run_precheck.conversion_scopes),
            )
        counts = run_precheck.ip_quota and not self.suspicions
        return replace(
            standing,
            reservation=QuotaReservation(
                run_precheck.ip_quota if counts else None, run_precheck.conversion_scopes
            ),
            risk_reasons=self.suspicions if run_precheck.ip_quota else (),
            conversions=self.guards if run_precheck.conversion_scopes else (),
            is_restricted=self.is_slow,
            challenge_accepted=solved,
        )

    def begin_idempotent(self, claim: IdempotencyRecord) -> IdempotencyCheck:
        self._called("begin_idempotent")
        return IdempotencyCheck(IdempotencyState.NEW, claim.result_id)

    def finish_idempotent(self, claim: IdempotencyRecord, what: str = "") -> None:
        self._called("finish_idempotent")

    def create(self, slot: PhoneKey, new: NewVerification, budgets: Mapping[Budget, int]) -> Verification:
        self._called("create")
        self._cool(slot)
        now = self.clock.now()
        kept = Kept(new, now, now + new.ttl, new.attempts, requester=slot.ip_hash)
        self.kept[slot.phone_hash, new.client, new.verification_hash] = kept
        return self._take(slot, kept, budgets)

    def reserve_resend(
        self,
        slot: PhoneKey,
        client: str,
        verification_hash: str,
        ttl: int,
        budgets: Mapping[Budget, int],
    ) -> ResendReservation:
        self._called("reserve_resend")
        kept = self._pending(slot, client, verification_hash)
        self._cool(slot)
        kept.expires_at = min(self.clock.now() + ttl, kept.issued_at + MAX_VERIFICATION_LIFETIME)
        return ResendReservation(self._take(slot, kept, budgets), kept.new.kid, kept.new.salt)

    def record_send_result(
        self,
        slot: PhoneKey,
        client: str,
        record: SendResultRecord,
        refund: Sequence[Budget],
        ended: IdempotencyRecord | None = None,
    ) -> Verification | None:
        self._called("record_send_result")
        for budget in refund:
            self.taken[budget] -= 1
        key = slot.phone_hash, client, record.verification_hash
        kept = self.kept[key]
        if record.disposition is SendDisposition.NOT_SENT:
            del self.next_send[slot.phone_hash]
            if record.number == 1:
                del self.kept[key]
                return None
        if record.disposition is SendDisposition.RECIPIENT_REJECTED:
            kept.status = Status.CANCELED
        kept.sends = (
            *kept.sends[:-1],
            replace(kept.sends[-1], delivery=_delivery(record.disposition), route=record.route),
        )
        return self._view(slot, kept)

    def apply_delivery_reports(self, reports: Sequence[DeliveryReport]) -> list[DeliveryUpdate | None]:
        self._called("apply_delivery_reports")
        return [self._reported(report) for report in reports]

    def acquire_lookup_lease(self, tag: str, verification_hash: str, call: str) -> bool:
        self._called("acquire_lookup_lease")
        claim = verification_hash, call
        is_new = claim not in self.claimed
        self.claimed.add(claim)
        return is_new

    def attempt(
        self,
        slot: PhoneKey,
        client: str,
        verification_hash: str,
        attempt: CodeAttempt,
        *,
        opener_only: bool = False,
    ) -> Approval:
        self._called("attempt")
        self._reach(slot, client, verification_hash, opener_only=opener_only)
        kept = self._pending(slot, client, verification_hash)
        if kept.new.code_type not in attempt.code_types:
            raise InvalidCode
        kept.attempts_left -= 1
        if attempt.digests.get(kept.new.kid) != kept.new.digest:
            if not kept.attempts_left:
                kept.status = Status.EXHAUSTED
            raise WrongCode(kept.attempts_left)
        kept.status = Status.APPROVED
        self.known.add(slot.phone_hash)
        return Approval(kept.new.purpose, kept.new.attempts - kept.attempts_left - 1, attempt.at)

    def read(
        self, slot: PhoneKey, client: str, verification_hash: str, *, opener_only: bool = False
    ) -> Verification:
        self._called("read")
        self._reach(slot, client, verification_hash, opener_only=opener_only)
        return self._view(slot, self._found(slot, client, verification_hash))

    def cancel(
        self, slot: PhoneKey, client: str, verification_hash: str, *, opener_only: bool = False
    ) -> None:
        self._called("cancel")
        self._reach(slot, client, verification_hash, opener_only=opener_only)
        kept = self._found(slot, client, verification_hash)
        if kept.status is not Status.CANCELED:
            self._pending(slot, client, verification_hash)
            kept.status = Status.CANCELED

    def redeem(self, tag: str, verification_hash: str, ttl: int, call: bytes = b"") -> bool:
        self._called("redeem")
        by = self.redeemed.setdefault((tag, verification_hash), [])
        if by and (not call or by != [call]):
            raise ProofRedeemed
        repeated = bool(by)
        self.redeemed[tag, verification_hash] = [call]
        return repeated

    def unlock(self, tag: str) -> None:
        self._called("unlock")
        self.unlocked.append(tag)

    def mark_missing_client_ip(self, client: str) -> None:
        if "mark_missing_client_ip" in self.failing:
            raise StoreUnavailable
        self.clients_without_ip.add(client)

    def mark_unreadable_client_ip(self) -> None:
        if "mark_unreadable_client_ip" in self.failing:
            raise StoreUnavailable
        self.is_ip_unreadable = True

    def check_health(self) -> bool:
        self._called("check_health")
        return self.persists

    # ── the steps ──

    def _reported(self, report: DeliveryReport) -> DeliveryUpdate | None:
        found = [
            k
            for (tag, _, vid), k in self.kept.items()
            if (tag, vid) == (report.phone_hash, report.verification_hash)
        ]
        if not found or report.number > len(found[0].sends):
            return None
        kept, sends = found[0], list(found[0].sends)
        send = sends[report.number - 1]
        moved = _RANK[report.delivery] > _RANK[send.delivery]
        if moved:
            sends[report.number - 1] = replace(send, delivery=report.delivery, reason=report.reason)
            kept.sends = tuple(sends)
        return DeliveryUpdate(kept.new.client, kept.new.purpose, send.route, changed=moved)

    def _called(self, method: str) -> None:
        self.calls.append(method)
        if self.failure is not None:
            raise self.failure
        if method in self.failing:
            raise StoreUnavailable

    def only(self) -> Kept:
        """Return the one verification there is."""
        (kept,) = self.kept.values()
        return kept

    def _cool(self, slot: PhoneKey) -> None:
        wait = self.next_send.get(slot.phone_hash, 0) - self.clock.now()
        if wait > 0:
            raise CooldownActive(int(-(-wait // 1)), "phone_cooldown")

    def _take(self, slot: PhoneKey, kept: Kept, budgets: Mapping[Budget, int]) -> Verification:
        self.available_to = list(budgets.values())
        for budget in budgets:
            self.taken[budget] = self.taken.get(budget, 0) + 1
        now = self.clock.now()
        self.next_send[slot.phone_hash] = now + COOLDOWN
        kept.sends += (SmsSend(len(kept.sends) + 1, DeliveryStatus.SENDING, now, ""),)
        return self._view(slot, kept)

    def _found(self, slot: PhoneKey, client: str, verification_hash: str) -> Kept:
        kept = self.kept.get((slot.phone_hash, client, verification_hash))
        if kept is None:
            raise VerificationNotFound
        return kept

    def _reach(self, slot: PhoneKey, client: str, verification_hash: str, *, opener_only: bool) -> None:
        kept = self._found(slot, client, verification_hash)
        if opener_only and (not slot.ip_hash or kept.requester != slot.ip_hash):
            raise VerificationNotFound

    def _pending(self, slot: PhoneKey, client: str, verification_hash: str) -> Kept:
        kept = self._found(slot, client, verification_hash)
        status = self._status(kept)
        if status is not Status.PENDING:
            raise _ENDED[status]
        return kept

    def _status(self, kept: Kept) -> Status:
        over = kept.status is Status.PENDING and self.clock.now() > kept.expires_at
        return Status.EXPIRED if over else kept.status

    def _view(self, slot: PhoneKey, kept: Kept) -> Verification:
        left = kept.new.sends - len(kept.sends)
        pending = self._status(kept) is Status.PENDING
        return Verification(
            verification_hash=kept.new.verification_hash,
            client=kept.new.client,
            purpose=kept.new.purpose,
            status=self._status(kept),
            code_type=kept.new.code_type,
            issued_at=kept.issued_at,
            expires_at=kept.expires_at,
            attempts_left=kept.attempts_left,
            sends_left=left if pending else 0,
            resend_at=self.next_send.get(slot.phone_hash) if pending and left else None,
            sends=kept.sends,
            now=self.clock.now(),
            max_sends=kept.new.sends,
        )


_ENDED: Mapping[Status, type[VerificationError]] = {
    Status.APPROVED: AlreadyVerified,
    Status.EXHAUSTED: AttemptsExhausted,
    Status.CANCELED: VerificationCanceled,
    Status.EXPIRED: VerificationExpired,
}


_RANK = {
    DeliveryStatus.SENDING: 0,
    DeliveryStatus.UNKNOWN: 1,
    DeliveryStatus.ACCEPTED: 2,
    DeliveryStatus.REFUSED: 2,
    DeliveryStatus.DELIVERED: 3,
    DeliveryStatus.UNDELIVERED: 3,
}


def _delivery(settlement: SendDisposition) -> DeliveryStatus:
    kept = settlement in (SendDisposition.ACCEPTED, SendDisposition.UNKNOWN)
    return DeliveryStatus(settlement.value) if kept else DeliveryStatus.REFUSED


@dataclass
class FakeCounters:
    """Remembers what it was told; every address must wait *wait* seconds for more misses."""

    wait: int = 0
    level: int = 0
    misses: list[ClientIpQuota] = field(default_factory=list)
    wrong: int = 0
    approvals: list[tuple[str, int, str, tuple[ConversionScope, ...]]] = field(default_factory=list)
    scopes: list[ConversionScope] = field(default_factory=list)
    counted: list[bool] = field(default_factory=list)
    looked_at: list[ConversionScope] = field(default_factory=list)

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
        self.looked_at += guards

    def record_failure(self) -> None:
        self.wrong += 1

    def record_approval(
        self, tag: str, wrong: int, address: ClientIpQuota | None, guards: Sequence[ConversionScope]
    ) -> None:
        self.approvals.append((tag, wrong, address.ip_hash if address else "", tuple(guards)))

    def global_risk_level(self) -> int:
        return self.level


@dataclass
class FakeChallenges:
    """Issues challenges that a solution `<level>:<id>` solves, for whomever it is bound to."""

    ttl: int = 600
    issued: list[tuple[ChallengeSubject, int]] = field(default_factory=list)

    def issue(self, binding: ChallengeSubject, level: int) -> Mapping[str, object]:
        self.issued.append((binding, level))
        return {"algorithm": "fake", "level": level}

    def verify(self, solution: str, binding: ChallengeSubject, level: int) -> str | None:
        reached, _, name = solution.partition(":")
        return name if reached.isdecimal() and int(reached) >= level else None


@dataclass
class FakeSender:
    """A SmsSender that hands every SMS to *sent* and answers *outcome*, or raises *failure* at the door."""

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

    def permit(self) -> FakePermit:
        if self.failure is not None:
            raise self.failure
        return FakePermit(self)

    @property
    def last_code(self) -> str:
        return self.sent[-1].code.get_secret_value()


class FakePermit:
    """Counts itself while it is held."""

    def __init__(self, sender: FakeSender) -> None:
        self._sender = sender

    def __enter__(self) -> Self:
        self._sender.permits += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sender.permits -= 1

    def send(self, sms: SmsMessage, deadline: float) -> SendResult:
        self._sender.sent.append(sms)
        self._sender.deadlines.append(deadline)
        return self._sender.outcome


@dataclass
class FakePages:
    """A PageStore in a dict; *admitted* counts, *failure* meets every call."""

    failure: Exception | None = None
    full: Exception | None = None
    admitted: list[tuple[PageEvent, str, PageQuota, str]] = field(default_factory=list)
    kept: dict[str, StoredPage] = field(default_factory=dict)
    lives: dict[str, int] = field(default_factory=dict)
    before_swap: Callable[[], None] = lambda: None

    def check_rate(self, event: PageEvent, client: str, quota: PageQuota, address: str) -> None:
        self._called()
        if self.full is not None:
            raise self.full
        self.admitted.append((event, client, quota, address))

    def create(self, tag: str, sealed: bytes, ttl: int) -> None:
        self._called()
        self.kept[tag] = StoredPage(0, sealed)
        self.lives[tag] = ttl

    def load(self, tag: str) -> StoredPage | None:
        self._called()
        return self.kept.get(tag)

    def compare_and_set(self, tag: str, version: int, sealed: bytes) -> bool:
        self._called()
        self.before_swap()
        kept = self.kept.get(tag)
        if kept is None or kept.version != version:
            return False
        self.kept[tag] = StoredPage(version + 1, sealed)
        return True

    def _called(self) -> None:
        if self.failure is not None:
            raise self.failure


@dataclass
class Harness:
    """A real Service among fakes, and the fakes."""

    clock: FakeClock
    events: FakeEvents
    store: FakeStore
    sender: FakeSender
    usage_counters: FakeCounters
    challenges: Any
    keyring: Keyring
    clients: Clients
    service: VerificationService
    page_store: FakePages
    pages: HostedPages


USUAL = FakeChallenges()
"""Stands for challenges of the harness's own."""


def harness(
    *clients: Client,
    deadline: float = 6.0,
    risk: RiskPolicy | None = None,
    lists: AccessLists | None = None,
    test_phones: Mapping[str, TestPhone] | None = None,
    keyring: Keyring | None = None,
    challenges: FakeChallenges | None = USUAL,
    store: Any = None,
    phones: PhoneRules | None = None,
    **limits: int,
) -> Harness:
    """Return a service for *clients* (a shop and a bank); *limits* are those of a code."""
    chosen = clients or (SHOP, BANK)
    clock, events, sender = FakeClock(), FakeEvents(), FakeSender()
    store = store or FakeStore(clock)
    usage_counters, challenges = FakeCounters(), FakeChallenges() if challenges is USUAL else challenges
    keyring = keyring or Keyring({"k1": b"root secret ".ljust(32, b"1")}, "k1", b"tag key ".ljust(32, b"2"))
    service = VerificationService(
        policy=Policy(
            phones=phones or PhoneRules(),
            purposes=purposes(chosen),
            phone_limits=PhoneLimits(),
            code_limits=CodeLimits(**limits),
            sms_per_day=10_000,
            deadline=deadline,
            risk=risk or RiskPolicy(),
            access_lists=lists or AccessLists(),
            test_phones=test_phones or {},
        ),
        keyring=keyring,
        signers={client.id: signer(client.id, clock) for client in chosen},
        store=store,
        sender=sender,
        counters=usage_counters,
        challenges=challenges,
        clock=clock,
        events=events,
        log_context=CurrentRequestLog(),
    )
    page_store = FakePages()
    pages = HostedPages(
        service=service,
        clients=Clients(chosen),
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
        Clients(chosen),
        service,
        page_store,
        pages,
    )


def purposes(clients: Sequence[Client]) -> dict[str, CodeType]:
    """Return all purposes of *clients*; only a transfer is worth six letters and digits."""
    named = [purpose for client in clients for purpose in client.purposes]
    return {name: CodeType.ALNUM if name == "transfer" else CodeType.DIGITS for name in named}


def signer(client: str, clock: FakeClock) -> ProofSigner:
    """Return the signer of one client's proofs."""
    key = f"proof key of {client} ".encode().ljust(32, b"3")
    return ProofSigner(ISSUER, client, ProofKeys((key,)), clock.now)
