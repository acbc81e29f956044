"""The real service, store and counters on a real Redis, with a clock that only the test moves.

The scripts read the time from a key, so moving the clock costs one round trip and no new scripts. Weeks pass
in seconds, and runs with the same seed are equal.
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
from support.events import RecordingEvents
from support.fakes import FakeChallenges, FakeSender

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

Behavior = Iterator[float]
"""What one user does; each yielded value is a pause in seconds."""


class SettableClockRunner(scripts.ScriptRunner):
    """Runs the same scripts with a clock that only changes when it is set.

    *changes* maps the name of a script to a text in it and its replacement.
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
        self._key = f"simulation:{secrets.token_hex(8)}"
        self._patched: dict[str, scripts.Script] = {}
        self.set(START)

    def set(self, now: float) -> None:
        self._client.set(self._key, int(now * 1000))

    def _script(self, name: str) -> scripts.Script:
        if name not in self._patched:
            time = f"return tonumber(redis.call('GET', '{self._key}'))"
            source = scripts.script(name, shebang=self._shebang).source
            for old, new in [(SERVER_TIME, time), *filter(None, [self._changes.get(name)])]:
                assert source.count(old) == 1 or (old == SERVER_TIME and "'TIME'" not in source)
                source = source.replace(old, new)
            self._patched[name] = scripts.script_from(source)
        return self._patched[name]


def enforcing_risk_policy() -> RiskPolicy:
    """Return the default risk policy, with a pumping guard that blocks instead of only recording."""
    return risk_policy(
        IpLimitsConfig(), PumpingGuardConfig(mode=PumpingGuardMode.ENFORCE), GlobalFailuresConfig()
    )


@dataclass
class Timeline:
    """A discrete-event scheduler: simulated time, and the behaviors that run in it."""

    runner: SettableClockRunner
    clock: fakes.FakeClock = field(default_factory=lambda: fakes.FakeClock(START))
    tick: int = 1
    """The resolution of time, in seconds."""
    refusals: list[OtpError] = field(default_factory=list)
    _queue: list[tuple[float, int, Behavior]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)

    def pass_time(self, seconds: float) -> None:
        """Advance the clocks of the test and of the scripts."""
        self.clock.advance(seconds)
        self.runner.set(self.clock.time)

    def schedule(self, after: float, behavior: Behavior) -> None:
        """Start *behavior* in *after* seconds."""
        heapq.heappush(self._queue, (self.clock.time + after, next(self._order), behavior))

    def run_all(self) -> None:
        """Run all behaviors to their ends, tick by tick; an error of the service ends a behavior."""
        while self._queue:
            at, _, behavior = heapq.heappop(self._queue)
            ticks = math.ceil((at - self.clock.time) / self.tick)
            if ticks > 0:
                self.pass_time(ticks * self.tick)
            try:
                pause = next(behavior, None)
            except OtpError as refusal:
                self.refusals.append(refusal)
                continue
            if pause is not None:
                self.schedule(pause, behavior)


@dataclass
class Simulation(Timeline):
    """A timeline with a real service and its fakes; *verified* are the phones that were verified."""

    service: VerificationService = field(kw_only=True)
    usage_counters: RedisUsageCounters = field(kw_only=True)
    sender: FakeSender = field(kw_only=True)
    challenges: FakeChallenges = field(kw_only=True)
    events: RecordingEvents = field(kw_only=True)
    client: redis.Redis = field(kw_only=True)
    verified: list[str] = field(default_factory=list)

    def pass_time(self, seconds: float) -> None:
        """Advance the clocks, after writing the buffered counters to the store."""
        self.usage_counters.write()
        super().pass_time(seconds)

    # ── calls ──

    def request(self, phone: str, address: str | None, client: Client = MALL) -> SendOutcome:
        return self.service.request(client, phone, purpose="login", client_ip=address)

    def resend(self, phone: str, address: str | None, sent: SendOutcome) -> SendOutcome:
        return self.service.resend(MALL, phone, sent.verification_id, client_ip=address)

    def verify(
        self, phone: str, address: str | None, sent: SendOutcome, code: str, client: Client = MALL
    ) -> Approved:
        approved = self.service.verify(client, phone, sent.verification_id, code, client_ip=address)
        self.verified.append(phone)
        return approved


def build(client: redis.Redis, risk: RiskPolicy, keyring: Keyring | None = None) -> Simulation:
    """Return a simulation on *client*'s server, with two clients that may send to two countries."""
    keyring = keyring or Keyring({"k1": secrets.token_bytes(32)}, "k1", secrets.token_bytes(32))
    clock, events, sender, challenges = (
        fakes.FakeClock(START),
        RecordingEvents(),
        FakeSender(),
        FakeChallenges(),
    )
    runner = SettableClockRunner(client)
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
    return Simulation(
        runner,
        clock,
        service=service,
        usage_counters=usage_counters,
        sender=sender,
        challenges=challenges,
        events=events,
        client=client,
    )
