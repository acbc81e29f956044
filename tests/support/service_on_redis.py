"""A stage: the real service, store and ledger on a real Redis, with one clock that only a test moves.

The scripts read the time from a key, so that moving it costs one round trip and not new scripts; weeks pass
in seconds, and the same seed always tells the same story.
"""

from __future__ import annotations

import heapq
import math
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

import redis
from support import fakes
from support.fakes import FakeChallenges, FakeEvents, FakeSender

from otp_service.domain.clients import Client
from otp_service.domain.crypto import Keyring
from otp_service.domain.errors import OtpError
from otp_service.domain.limits import CodeLimits, PhoneLimits
from otp_service.domain.phone import PhoneRules
from otp_service.domain.policy import Policy, PumpingGuardMode, RiskPolicy
from otp_service.services.verification import Approved, SendOutcome, VerificationService
from otp_service.settings.risk import GlobalFailuresConfig, IpLimitsConfig, PumpingGuardConfig, risk_policy
from otp_service.store import scripts
from otp_service.store.counters import RedisUsageCounters
from otp_service.store.verifications import RedisStore
from otp_service.web.api.request_log import CurrentRequestLog

START = 1_795_363_200.0
"""2026-11-22T16:00:00Z, which is midnight in China."""

SERVER_TIME = "return time[1] * 1000 + floor(time[2] / 1000)"

MALL = Client(
    id="mall",
    secret_key_digests=(),
    purposes=("login", "signup"),
    sms_per_day=1_000_000,
)

BANK = replace(MALL, id="bank")

COUNTRIES = frozenset({"CN", "IN"})

Story = Iterator[float]
"""What one person does: each value is for how many seconds they do nothing."""


class StagedRunner(scripts.ScriptRunner):
    """Runs the same scripts by a clock that stands still until it is set.

    *changes*: in the script of that name, one text for another.
    """

    def __init__(
        self,
        client: redis.Redis,
        changes: Mapping[str, tuple[str, str]] | None = None,
        *,
        shebang: bool = True,
    ) -> None:
        super().__init__(client, shebang=shebang)
        self._client = client
        self._changes = changes or {}
        self._key = f"stage:{secrets.token_hex(8)}"
        self._staged: dict[str, scripts.Script] = {}
        self.set(START)

    def set(self, now: float) -> None:
        self._client.set(self._key, int(now * 1000))

    def _script(self, name: str) -> scripts.Script:
        if name not in self._staged:
            time = f"return tonumber(redis.call('GET', '{self._key}'))"
            source = scripts.script(name, shebang=self._shebang).source
            for old, new in [(SERVER_TIME, time), *filter(None, [self._changes.get(name)])]:
                assert source.count(old) == 1 or (old == SERVER_TIME and "'TIME'" not in source)
                source = source.replace(old, new)
            self._staged[name] = scripts.script_from(source)
        return self._staged[name]


def enforced() -> RiskPolicy:
    """Return what the settings say when they say nothing but that the guard is enforced."""
    return risk_policy(
        IpLimitsConfig(), PumpingGuardConfig(mode=PumpingGuardMode.ENFORCE), GlobalFailuresConfig()
    )


@dataclass
class Timeline:
    """The time of a stage, and the people whose stories are told in it."""

    runner: StagedRunner
    clock: fakes.FakeClock = field(default_factory=lambda: fakes.FakeClock(START))
    tick: int = 1
    """Seconds by which time moves."""
    refusals: list[OtpError] = field(default_factory=list)
    _turns: list[tuple[float, int, Story]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)

    def pass_time(self, seconds: float) -> None:
        """Move every clock."""
        self.clock.advance(seconds)
        self.runner.set(self.clock.time)

    def tell(self, after: float, story: Story) -> None:
        """Let *story* begin *after* so many seconds from now."""
        heapq.heappush(self._turns, (self.clock.time + after, next(self._order), story))

    def play(self) -> None:
        """Tell all stories to their ends, tick by tick; a refusal ends its own."""
        while self._turns:
            at, _, story = heapq.heappop(self._turns)
            ticks = math.ceil((at - self.clock.time) / self.tick)
            if ticks > 0:
                self.pass_time(ticks * self.tick)
            try:
                pause = next(story, None)
            except OtpError as refusal:
                self.refusals.append(refusal)
                continue
            if pause is not None:
                self.tell(pause, story)


@dataclass
class Stage(Timeline):
    """The service, and who is asked for what."""

    service: VerificationService = field(kw_only=True)
    usage_counters: RedisUsageCounters = field(kw_only=True)
    sender: FakeSender = field(kw_only=True)
    challenges: FakeChallenges = field(kw_only=True)
    events: FakeEvents = field(kw_only=True)
    client: redis.Redis = field(kw_only=True)
    verified: list[str] = field(default_factory=list)

    def pass_time(self, seconds: float) -> None:
        """Move every clock; what the ledger has noted meanwhile is carried to the store."""
        self.usage_counters.write()
        super().pass_time(seconds)

    # ── calls ──

    def request(self, phone: str, address: str | None, client: Client = MALL) -> SendOutcome:
        return self.service.request(client, phone, purpose="login", client_ip=address)

    def resend(self, phone: str, address: str | None, sent: SendOutcome) -> SendOutcome:
        opened = sent.verification_id
        return self.service.resend(MALL, phone, opened, client_ip=address)

    def verify(
        self, phone: str, address: str | None, sent: SendOutcome, code: str, client: Client = MALL
    ) -> Approved:
        opened = sent.verification_id
        approved = self.service.verify(client, phone, opened, code, client_ip=address)
        self.verified.append(phone)
        return approved


def build(client: redis.Redis, risk: RiskPolicy, keyring: Keyring | None = None) -> Stage:
    """Return a stage on a server of its own, where two clients send to two countries."""
    keyring = keyring or Keyring({"k1": secrets.token_bytes(32)}, "k1", secrets.token_bytes(32))
    clock, events, sender, challenges = fakes.FakeClock(START), FakeEvents(), FakeSender(), FakeChallenges()
    runner = StagedRunner(client)
    store = RedisStore(client, events)
    store.redis.scripts = runner
    usage_counters = RedisUsageCounters(
        store.redis.run_scripts, limits=risk.global_failures, clock=clock, events=events
    )
    service = VerificationService(
        policy=Policy(
            phones=PhoneRules(countries=COUNTRIES),
            purposes=fakes.purposes([MALL, BANK]),
            phone_limits=PhoneLimits(),
            code_limits=CodeLimits(),
            sms_per_day=1_000_000,
            risk=risk,
        ),
        keyring=keyring,
        signers={client.id: fakes.signer(client.id, clock) for client in (MALL, BANK)},
        store=store,
        sender=sender,
        counters=usage_counters,
        challenges=challenges,
        clock=clock,
        events=events,
        log_context=CurrentRequestLog(),
    )
    return Stage(
        runner,
        clock,
        service=service,
        usage_counters=usage_counters,
        sender=sender,
        challenges=challenges,
        events=events,
        client=client,
    )
