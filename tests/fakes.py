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

from otp_service.clients import Client, Clients, key_digest
from otp_service.codes import CodeType
from otp_service.errors import (
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
from otp_service.events import LINE_FIELDS
from otp_service.hosted_pages import HostedPages
from otp_service.keyring import Keyring
from otp_service.limits import MAX_LIFE, Budget, CodeLimits, PhoneLimits
from otp_service.lists import Lists
from otp_service.messages import Sms
from otp_service.phone import PhoneRules
from otp_service.policy import Policy, RiskPolicy, TestPhone
from otp_service.ports import (
    AddressSlot,
    Approval,
    Attempt,
    Claim,
    ClaimReading,
    ClaimState,
    Counted,
    DeliveryReport,
    Finding,
    Found,
    GuardReading,
    GuardScope,
    Inquiry,
    KeptPage,
    Knock,
    NewVerification,
    Outcome,
    OutcomeKind,
    PageEvent,
    PageQuota,
    PhoneSlot,
    Reopened,
    Reported,
    RiskBinding,
    SendRecord,
    Settlement,
    Standing,
)
from otp_service.proofs import ProofKeys, ProofSigner
from otp_service.service import Service
from otp_service.verification import Delivery, Send, Status, Verification
from otp_service.web.audit import CallNotes

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
    sends: tuple[Send, ...] = ()
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
    open_to: list[int] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    knocks: list[Knock] = field(default_factory=list)
    slots: list[PhoneSlot] = field(default_factory=list)
    solved: set[str] = field(default_factory=set)
    uncounted: list[tuple[str, Counted]] = field(default_factory=list)
    suspicions: tuple[str, ...] = ()
    guards: tuple[GuardReading, ...] = ()
    is_slow: bool = False
    persists: bool = True
    unaddressed: set[str] = field(default_factory=set)
    is_ip_unreadable: bool = False
    claimed: set[tuple[str, str]] = field(default_factory=set)
    redeemed: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)
    unlocked: list[str] = field(default_factory=list)
    kept: dict[tuple[str, str, str], Kept] = field(default_factory=dict)
    next_send: dict[str, float] = field(default_factory=dict)

    def peek(self, slot: PhoneSlot, client: str, attempts: int, knock: Knock) -> Standing:
        self._called("peek")
        return self._standing(slot, knock, lambda: Standing(known=slot.tag in self.known))

    def peek_resend(
        self, slot: PhoneSlot, client: str, verification_hash: str, knock: Knock, *, opener_only: bool = False
    ) -> Standing:
        self._called("peek_resend")

        def found() -> Standing:
            self._reach(slot, client, verification_hash, opener_only=opener_only)
            kept = self._pending(slot, client, verification_hash)
            return Standing(slot.tag in self.known, self.clock.now(), kept.new.purpose, kept.sends[-1])

        return self._standing(slot, knock, found)

    def uncount(self, tag: str, counted: Counted) -> None:
        self._called("uncount")
        self.uncounted.append((tag, counted))

    def _standing(self, slot: PhoneSlot, knock: Knock, look: Callable[[], Standing]) -> Standing:
        self.knocks.append(knock)
        self.slots.append(slot)
        solved = bool(knock.solution) and knock.solution not in self.solved
        self.solved.add(knock.solution)
        try:
            standing = look()
            self._cool(slot)
        except OtpError as error:
            return Standing(known=False, refusal=error, counted=Counted(knock.address, knock.guards))
        counts = knock.address and not self.suspicions
        return replace(
            standing,
            counted=Counted(knock.address if counts else None, knock.guards),
            suspicions=self.suspicions if knock.address else (),
            guards=self.guards if knock.guards else (),
            is_slow=self.is_slow,
            solved=solved,
        )

    def claim(self, claim: Claim) -> ClaimReading:
        self._called("claim")
        return ClaimReading(ClaimState.NEW, claim.what)

    def end_claim(self, claim: Claim, what: str = "") -> None:
        self._called("end_claim")

    def open(self, slot: PhoneSlot, new: NewVerification, budgets: Mapping[Budget, int]) -> Verification:
        self._called("open")
        self._cool(slot)
        now = self.clock.now()
        kept = Kept(new, now, now + new.ttl, new.attempts, requester=slot.requester)
        self.kept[slot.tag, new.client, new.verification_hash] = kept
        return self._take(slot, kept, budgets)

    def reopen(
        self,
        slot: PhoneSlot,
        client: str,
        verification_hash: str,
        ttl: int,
        budgets: Mapping[Budget, int],
    ) -> Reopened:
        self._called("reopen")
        kept = self._pending(slot, client, verification_hash)
        self._cool(slot)
        kept.expires_at = min(self.clock.now() + ttl, kept.issued_at + MAX_LIFE)
        return Reopened(self._take(slot, kept, budgets), kept.new.kid, kept.new.salt)

    def settle(
        self,
        slot: PhoneSlot,
        client: str,
        record: SendRecord,
        refund: Sequence[Budget],
        ended: Claim | None = None,
    ) -> Verification | None:
        self._called("settle")
        for budget in refund:
            self.taken[budget] -= 1
        key = slot.tag, client, record.verification_hash
        kept = self.kept[key]
        if record.settlement is Settlement.WITHDRAWN:
            del self.next_send[slot.tag]
            if record.number == 1:
                del self.kept[key]
                return None
        if record.settlement is Settlement.REJECTED:
            kept.status = Status.CANCELED
        kept.sends = (
            *kept.sends[:-1],
            replace(kept.sends[-1], delivery=_delivery(record.settlement), route=record.route),
        )
        return self._view(slot, kept)

    def report(self, reports: Sequence[DeliveryReport]) -> list[Reported | None]:
        self._called("report")
        return [self._reported(report) for report in reports]

    def claim_inquiry(self, tag: str, verification_hash: str, call: str) -> bool:
        self._called("claim_inquiry")
        claim = verification_hash, call
        is_new = claim not in self.claimed
        self.claimed.add(claim)
        return is_new

    def attempt(
        self,
        slot: PhoneSlot,
        client: str,
        verification_hash: str,
        attempt: Attempt,
        *,
        opener_only: bool = False,
    ) -> Approval:
        self._called("attempt")
        self._reach(slot, client, verification_hash, opener_only=opener_only)
        kept = self._pending(slot, client, verification_hash)
        if kept.new.code_type not in attempt.shapes:
            raise InvalidCode
        kept.attempts_left -= 1
        if attempt.digests.get(kept.new.kid) != kept.new.digest:
            if not kept.attempts_left:
                kept.status = Status.EXHAUSTED
            raise WrongCode(kept.attempts_left)
        kept.status = Status.APPROVED
        self.known.add(slot.tag)
        return Approval(kept.new.purpose, kept.new.attempts - kept.attempts_left - 1, attempt.at)

    def read(
        self, slot: PhoneSlot, client: str, verification_hash: str, *, opener_only: bool = False
    ) -> Verification:
        self._called("read")
        self._reach(slot, client, verification_hash, opener_only=opener_only)
        return self._view(slot, self._found(slot, client, verification_hash))

    def cancel(
        self, slot: PhoneSlot, client: str, verification_hash: str, *, opener_only: bool = False
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

    def note_unaddressed(self, client: str) -> None:
        if "note_unaddressed" in self.failing:
            raise StoreUnavailable
        self.unaddressed.add(client)

    def note_unreadable_ip(self) -> None:
        if "note_unreadable_ip" in self.failing:
            raise StoreUnavailable
        self.is_ip_unreadable = True

    def check(self) -> bool:
        self._called("check")
        return self.persists

    # ── the steps ──

    def _reported(self, report: DeliveryReport) -> Reported | None:
        found = [
            k
            for (tag, _, vid), k in self.kept.items()
            if (tag, vid) == (report.tag, report.verification_hash)
        ]
        if not found or report.number > len(found[0].sends):
            return None
        kept, sends = found[0], list(found[0].sends)
        send = sends[report.number - 1]
        moved = _RANK[report.delivery] > _RANK[send.delivery]
        if moved:
            sends[report.number - 1] = replace(send, delivery=report.delivery, reason=report.reason)
            kept.sends = tuple(sends)
        return Reported(kept.new.client, kept.new.purpose, send.route, moved=moved)

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

    def _cool(self, slot: PhoneSlot) -> None:
        wait = self.next_send.get(slot.tag, 0) - self.clock.now()
        if wait > 0:
            raise CooldownActive(int(-(-wait // 1)), "phone_cooldown")

    def _take(self, slot: PhoneSlot, kept: Kept, budgets: Mapping[Budget, int]) -> Verification:
        self.open_to = list(budgets.values())
        for budget in budgets:
            self.taken[budget] = self.taken.get(budget, 0) + 1
        now = self.clock.now()
        self.next_send[slot.tag] = now + COOLDOWN
        kept.sends += (Send(len(kept.sends) + 1, Delivery.SENDING, now, ""),)
        return self._view(slot, kept)

    def _found(self, slot: PhoneSlot, client: str, verification_hash: str) -> Kept:
        kept = self.kept.get((slot.tag, client, verification_hash))
        if kept is None:
            raise VerificationNotFound
        return kept

    def _reach(self, slot: PhoneSlot, client: str, verification_hash: str, *, opener_only: bool) -> None:
        kept = self._found(slot, client, verification_hash)
        if opener_only and (not slot.requester or kept.requester != slot.requester):
            raise VerificationNotFound

    def _pending(self, slot: PhoneSlot, client: str, verification_hash: str) -> Kept:
        kept = self._found(slot, client, verification_hash)
        status = self._status(kept)
        if status is not Status.PENDING:
            raise _ENDED[status]
        return kept

    def _status(self, kept: Kept) -> Status:
        over = kept.status is Status.PENDING and self.clock.now() > kept.expires_at
        return Status.EXPIRED if over else kept.status

    def _view(self, slot: PhoneSlot, kept: Kept) -> Verification:
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
            resend_at=self.next_send.get(slot.tag) if pending and left else None,
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
    Delivery.SENDING: 0,
    Delivery.UNKNOWN: 1,
    Delivery.ACCEPTED: 2,
    Delivery.REFUSED: 2,
    Delivery.DELIVERED: 3,
    Delivery.UNDELIVERED: 3,
}


def _delivery(settlement: Settlement) -> Delivery:
    kept = settlement in (Settlement.ACCEPTED, Settlement.UNKNOWN)
    return Delivery(settlement.value) if kept else Delivery.REFUSED


@dataclass
class FakeLedger:
    """Remembers what it was told; every address must wait *wait* seconds for more misses."""

    wait: int = 0
    level: int = 0
    misses: list[AddressSlot] = field(default_factory=list)
    wrong: int = 0
    approvals: list[tuple[str, int, str, tuple[GuardScope, ...]]] = field(default_factory=list)
    scopes: list[GuardScope] = field(default_factory=list)
    counted: list[bool] = field(default_factory=list)
    looked_at: list[GuardScope] = field(default_factory=list)

    def record_miss(self, address: AddressSlot) -> None:
        self.misses.append(address)

    def seconds_until_misses_allowed(self, address: AddressSlot) -> int:
        return self.wait

    def sent(
        self, guards: Sequence[GuardScope], *, is_counted: bool = False, is_urgent: bool = False
    ) -> None:
        self.scopes += guards
        self.counted.append(is_counted)

    def look_at(self, guards: Sequence[GuardScope]) -> None:
        self.looked_at += guards

    def wrong_code(self) -> None:
        self.wrong += 1

    def approved(
        self, tag: str, wrong: int, address: AddressSlot | None, guards: Sequence[GuardScope]
    ) -> None:
        self.approvals.append((tag, wrong, address.tag if address else "", tuple(guards)))

    def alarm(self) -> int:
        return self.level


@dataclass
class FakeChallenges:
    """Issues challenges that a solution `<level>:<id>` solves, for whomever it is bound to."""

    ttl: int = 600
    issued: list[tuple[RiskBinding, int]] = field(default_factory=list)

    def issue(self, binding: RiskBinding, level: int) -> Mapping[str, object]:
        self.issued.append((binding, level))
        return {"algorithm": "fake", "level": level}

    def solved(self, solution: str, binding: RiskBinding, level: int) -> str | None:
        reached, _, name = solution.partition(":")
        return name if reached.isdecimal() and int(reached) >= level else None


@dataclass
class FakeSender:
    """A SmsSender that hands every SMS to *sent* and answers *outcome*, or raises *failure* at the door."""

    outcome: Outcome = field(default_factory=lambda: Outcome(OutcomeKind.ACCEPTED, route="main"))
    failure: Exception | None = None
    sent: list[Sms] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)
    permits: int = 0
    found: Found = field(default_factory=lambda: Found(Finding.SILENT))
    inquiries: list[tuple[Inquiry, float]] = field(default_factory=list)

    def inquire(self, inquiry: Inquiry, deadline: float) -> Found:
        self.inquiries.append((inquiry, deadline))
        return self.found

    def serves(self, client: str, purpose: str) -> bool:
        return True

    def permit(self) -> FakePermit:
        if self.failure is not None:
            raise self.failure
        return FakePermit(self)

    @property
    def last_code(self) -> str:
        return self.sent[-1].code.reveal()


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

    def send(self, sms: Sms, deadline: float) -> Outcome:
        self._sender.sent.append(sms)
        self._sender.deadlines.append(deadline)
        return self._sender.outcome


@dataclass
class FakePages:
    """A PageStore in a dict; *admitted* counts, *failure* meets every call."""

    failure: Exception | None = None
    full: Exception | None = None
    admitted: list[tuple[PageEvent, str, PageQuota, str]] = field(default_factory=list)
    kept: dict[str, KeptPage] = field(default_factory=dict)
    lives: dict[str, int] = field(default_factory=dict)
    before_swap: Callable[[], None] = lambda: None

    def admit(self, event: PageEvent, client: str, quota: PageQuota, address: str) -> None:
        self._called()
        if self.full is not None:
            raise self.full
        self.admitted.append((event, client, quota, address))

    def put(self, tag: str, sealed: bytes, ttl: int) -> None:
        self._called()
        self.kept[tag] = KeptPage(0, sealed)
        self.lives[tag] = ttl

    def get(self, tag: str) -> KeptPage | None:
        self._called()
        return self.kept.get(tag)

    def swap(self, tag: str, version: int, sealed: bytes) -> bool:
        self._called()
        self.before_swap()
        kept = self.kept.get(tag)
        if kept is None or kept.version != version:
            return False
        self.kept[tag] = KeptPage(version + 1, sealed)
        return True

    def _called(self) -> None:
        if self.failure is not None:
            raise self.failure


@dataclass
class House:
    """A real Service among fakes, and the fakes."""

    clock: FakeClock
    events: FakeEvents
    store: FakeStore
    sender: FakeSender
    ledger: FakeLedger
    challenges: Any
    keyring: Keyring
    clients: Clients
    service: Service
    page_store: FakePages
    pages: HostedPages


USUAL = FakeChallenges()
"""Stands for challenges of the house's own."""


def house(
    *clients: Client,
    deadline: float = 6.0,
    risk: RiskPolicy | None = None,
    lists: Lists | None = None,
    test_phones: Mapping[str, TestPhone] | None = None,
    keyring: Keyring | None = None,
    challenges: FakeChallenges | None = USUAL,
    store: Any = None,
    phones: PhoneRules | None = None,
    **limits: int,
) -> House:
    """Return a service for *clients* (a shop and a bank); *limits* are those of a code."""
    chosen = clients or (SHOP, BANK)
    clock, events, sender = FakeClock(), FakeEvents(), FakeSender()
    store = store or FakeStore(clock)
    ledger, challenges = FakeLedger(), FakeChallenges() if challenges is USUAL else challenges
    keyring = keyring or Keyring({"k1": b"root secret ".ljust(32, b"1")}, "k1", b"tag key ".ljust(32, b"2"))
    service = Service(
        policy=Policy(
            phones=phones or PhoneRules(),
            purposes=purposes(chosen),
            phone_limits=PhoneLimits(),
            code_limits=CodeLimits(**limits),
            sms_per_day=10_000,
            deadline=deadline,
            risk=risk or RiskPolicy(),
            lists=lists or Lists(),
            test_phones=test_phones or {},
        ),
        keyring=keyring,
        signers={client.id: signer(client.id, clock) for client in chosen},
        store=store,
        sender=sender,
        ledger=ledger,
        challenges=challenges,
        clock=clock,
        events=events,
        notes=CallNotes(),
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
    return House(
        clock,
        events,
        store,
        sender,
        ledger,
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
