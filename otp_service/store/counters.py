"""Counters of use that requests do not wait for; all processes share them about twice a second.

They count misses per IP address, the wrong codes of the whole service, and SMS sent and verified. Each
request adds to a buffer; one round trip writes the buffer to Redis and reads the totals of all processes. In
between, a process knows only its own share, so a limit can be exceeded by what the processes count in that
time. Guessing is bounded by the scripts of the phone, not by these counters.
"""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from otp_service import forks
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.limits import GlobalFailureLimits
from otp_service.domain.policy import PumpingGuardMode
from otp_service.domain.risk import ClientIpQuota, ConversionScope, ConversionState, ConversionStats
from otp_service.services.interfaces import Clock, EventLogger
from otp_service.store import decoding, encoding, keys, precheck
from otp_service.store.backend import Argument
from otp_service.store.scripts import Call

FLUSH_SECONDS = 0.5

LEAST_SECONDS = 0.05
"""Seconds from one flush to the next if it is urgent."""

FLUSH_SIZE = 200
"""Scripts in one round trip."""

WINDOW_SECONDS = 660
"""Ten minutes, and the current one."""

_ACTIONS = ("none", "challenge", "block")
_BROAD_ACTIONS = ("none", "strict", "stricter", "challenge")

_SUSPECTS = {ConversionState.CALM: 0, ConversionState.SUSPECT: 1, ConversionState.TRIPPED: 20}
"""How many suspects a narrow scope counts as in broad scopes, which become strict at some number of them."""

Flush = Callable[[Sequence[Call]], list[list[Any]]]

_Scopes = tuple[ConversionScope, ...]


@dataclass(frozen=True, slots=True)
class PendingUpdate:
    """A script, and *learn*, which handles its reply. One that *counts* nothing only reads the total."""

    call: Call
    learn: Callable[[Sequence[Any]], None]
    counts: bool = True


@dataclass
class _Counts:
    """SMS of the same scopes: *sent*, *verified*, and *uncounted*: sent but not yet in narrow scopes."""

    sent: int = 0
    uncounted: int = 0
    verified: int = 0

    def add(self, others: _Counts) -> None:
        """Add *others*."""
        self.sent += others.sent
        self.uncounted += others.uncounted
        self.verified += others.verified


@dataclass
class _Change:
    """The changes of one broad scope in a flush; *moved*: buckets that a narrow one returns or removes."""

    sent: int = 0
    verified: int = 0
    suspects: int = 0
    moved: list[tuple[int, bytes]] = field(default_factory=list)

    def learn(self, before: ConversionState, now: ConversionState, spans: bytes) -> None:
        """Record that a narrow scope, of which *spans* were counted here, was *before* and is *now*."""
        self.suspects += _SUSPECTS[now] - _SUSPECTS[before]
        if (now is ConversionState.CALM) != (before is ConversionState.CALM):
            self.moved.append((1 if now is ConversionState.CALM else -1, spans))


@dataclass
class _Settled:
    """The results of the narrow scopes in a flush.

    *told*: for a narrow scope and the broad scopes of some calls, the states that the broad scopes knew when
    the calls were counted. *changes*: what broad scopes must learn, also those of other calls.
    """

    readings: dict[ConversionScope, ConversionStats] = field(default_factory=dict)
    told: dict[tuple[ConversionScope, _Scopes], bytes] = field(default_factory=dict)
    changes: dict[ConversionScope, _Change] = field(default_factory=lambda: defaultdict(_Change))

    def learn(self, scope: ConversionScope, broad: _Scopes, reply: Sequence[Any]) -> None:
        """Handle a reply of the narrow *scope* to calls of *broad* scopes; see `conversion_stats.lua`."""
        reading = decoding.narrow_stats(scope.kind, reply)
        self.readings[scope] = reading
        self.told[scope, broad], *shares = reply[7:]
        limits = {each.kind: each for each in broad}
        for name, before, spans in zip(shares[::3], shares[1::3], shares[2::3], strict=True):
            kind = name.decode().partition(":")[0]
            told = replace(limits[kind], name=name.decode())
            self.changes[told].learn(ConversionState(before), reading.state, spans)


@dataclass
class _Buffer:
    """What was counted since the last flush."""

    misses: dict[ClientIpQuota, int] = field(default_factory=lambda: defaultdict(int))
    verified: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    groups: dict[_Scopes, _Counts] = field(default_factory=lambda: defaultdict(_Counts))
    wrong: int = 0
    approvals: int = 0


@dataclass(frozen=True)
class _Window:
    """The misses of one IP address: *total* at *read_at*, and until when the limit is reached (monotonic)."""

    total: int
    read_at: float
    full_until: float

    def count(self, limit: int, now: float) -> int:
        """Return how many count against *limit*; after the end of a full window, one more fits."""
        return limit - 1 if self.total >= limit and now >= self.full_until else self.total


class RedisUsageCounters:
    """Implements `interfaces.UsageCounters`. *flush* runs scripts in one round trip."""

    def __init__(
        self,
        flush: Flush,
        *,
        limits: GlobalFailureLimits,
        guard_mode: PumpingGuardMode = PumpingGuardMode.RECORD_ONLY,
        clock: Clock,
        events: EventLogger,
    ) -> None:
        self._flush = flush
        self._limits = limits
        self._guard_mode = guard_mode
        self._clock = clock
        self._events = events
        self._is_started = False
        self._windows: dict[str, _Window] = {}
        self._alarm = 0
        self._tripped: dict[str, int] = {}
        self._is_closed = False
        self._begin()
        forks.call_in_child(self._begin)

    def start(self) -> None:
        """Begin to flush."""
        self._is_started = True
        self._thread.start()

    def _begin(self) -> None:
        """Begin with an empty buffer: after a fork, the parent flushes what it has counted."""
        self._lock = threading.Lock()
        self._buffer = _Buffer()
        self._lost = 0
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="usage-counters", daemon=True)
        if self._is_started and not self._is_closed:
            self._thread.start()

    def close(self) -> None:
        """Flush what is left and stop."""
        self._is_closed = True
        self._stop.set()
        self._hurry.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()
        self._tell_lost()

    # ── counting ──

    def record_miss(self, address: ClientIpQuota) -> None:
        """See `interfaces.UsageCounters.record_miss`."""
        with self._lock:
            self._buffer.misses[address] += 1

    def seconds_until_misses_allowed(self, address: ClientIpQuota) -> int:
        """See `interfaces.UsageCounters.seconds_until_misses_allowed`."""
        limit = address.limits.misses_per_10_minutes
        with self._lock:
            now = self._clock.monotonic()
            window = self._windows.get(address.ip_hash, _Window(0, now, now))
            if window.count(limit, now) + self._buffer.misses.get(address, 0) < limit:
                return 0
            return max(1, math.ceil(window.full_until - now))

    def record_send(
        self, guards: Sequence[ConversionScope], *, is_counted: bool = False, is_urgent: bool = False
    ) -> None:
        """See `interfaces.UsageCounters.record_send`."""
        with self._lock:
            counts = self._buffer.groups[tuple(guards)]
            counts.sent += 1
            counts.uncounted += not is_counted
        if is_urgent:
            self._hurry.set()

    def record_tripped(self, guards: Sequence[ConversionScope]) -> None:
        """See `interfaces.UsageCounters.record_tripped`."""
        with self._lock:
            self._buffer.groups[tuple(guards)].sent += 0
        self._hurry.set()

    def record_failure(self) -> None:
        """See `interfaces.UsageCounters.record_failure`."""
        with self._lock:
            self._buffer.wrong += 1

    def record_approval(
        self, tag: str, wrong: int, address: ClientIpQuota | None, guards: Sequence[ConversionScope]
    ) -> None:
        """See `interfaces.UsageCounters.record_approval`."""
        with self._lock:
            self._buffer.wrong -= wrong
            self._buffer.approvals += 1
            if address:
                self._buffer.verified[address.ip_hash].append(encoding.short_phone_hash(tag))
            if guards:
                self._buffer.groups[tuple(guards)].verified += 1

    def global_risk_level(self) -> int:
        """See `interfaces.UsageCounters.global_risk_level`."""
        return self._alarm

    # ── the flush ──

    def flush(self) -> None:
        """Write everything counted so far to Redis, and read the totals.

        What Redis may or may not have counted when it failed is not sent again, because it could count twice.
        How much was lost is logged once, when Redis works again.
        """
        with self._lock:
            page, self._buffer = self._buffer, _Buffer()
        settled = _Settled()
        works = self._carry([*self._entries(page), *_narrow_entries(page, settled)])
        broad: dict[ConversionScope, ConversionStats] = {}
        works &= self._carry(_broad_entries(page, settled, broad))
        self._tell_guards(page, settled.readings, broad)
        if works:
            self._tell_lost()
        self._forget()

    def _carry(self, entries: Sequence[PendingUpdate]) -> bool:
        """Run *entries* and handle their replies; tell whether Redis took all of them."""
        works = True
        for start in range(0, len(entries), FLUSH_SIZE):
            part = entries[start : start + FLUSH_SIZE]
            try:
                told = self._flush([entry.call for entry in part])
            except StoreUnavailable:
                works = False
                self._lost += sum(entry.counts for entry in part)
                continue
            for entry, reply in zip(part, told, strict=True):
                entry.learn(reply)
        return works

    def _run(self) -> None:
        while not self._stop.wait(LEAST_SECONDS):
            self._hurry.wait(FLUSH_SECONDS - LEAST_SECONDS)
            self._hurry.clear()
            self.flush()

    def _tell_lost(self) -> None:
        """Log how many entries were lost in an outage that is over, if any."""
        if self._lost:
            self._events.emit("counter_flush_failed", entries=self._lost)
            self._lost = 0

    def _forget(self) -> None:
        """Forget IP addresses without recent misses."""
        now = self._clock.monotonic()
        with self._lock:
            self._windows = {tag: w for tag, w in self._windows.items() if now - w.read_at < WINDOW_SECONDS}

    # ── the contents of a flush ──

    def _entries(self, page: _Buffer) -> list[PendingUpdate]:
        entries: list[PendingUpdate] = []
        for address, count in page.misses.items():
            limit = address.limits.misses_per_10_minutes
            call = Call("ip_misses", [keys.ip_misses(address.ip_hash)], [count, limit])
            entries.append(PendingUpdate(call, partial(self._learn_misses, address)))
        for tag, phones in page.verified.items():
            verified = Call("ip_approved", [keys.ip_log(tag)], list(phones))
            entries.append(PendingUpdate(verified, _learn_nothing))
        day = encoding.day(self._clock.now())
        call = Call("global_failures", [keys.global_failures(day)], [page.wrong, page.approvals])
        entries.append(PendingUpdate(call, self._learn_alarm, counts=bool(page.wrong or page.approvals)))
        return entries

    def _learn_misses(self, address: ClientIpQuota, reply: Sequence[Any]) -> None:
        _, total, wait_ms = reply
        now = self._clock.monotonic()
        window = _Window(total, now, now + wait_ms / 1000)
        with self._lock:
            self._windows[address.ip_hash] = window

    def _learn_alarm(self, reply: Sequence[Any]) -> None:
        _, wrong, approvals = reply
        level = self._limits.level(wrong, approvals)
        if level != self._alarm:
            self._events.emit(
                "global_failure_level_changed", alarm_level=level, wrong=wrong, approved=approvals
            )
        self._alarm = level

    def _tell_guards(
        self,
        page: _Buffer,
        readings: Mapping[ConversionScope, ConversionStats],
        broad: Mapping[ConversionScope, ConversionStats],
    ) -> None:
        """Say what the guard would do, or does where it is enforced, whenever that changes."""
        for scope, reading in broad.items():
            self._tell_guard(scope, reading, reading.level, _BROAD_ACTIONS)
        strict = {
            scope
            for guards in page.groups
            if any(broad[each].level for each in guards if each in broad)
            for scope in guards
        }
        for scope, reading in readings.items():
            level = max(reading.level, int(reading.is_suspect and scope in strict))
            self._tell_guard(scope, reading, level, _ACTIONS)

    def _tell_guard(
        self, scope: ConversionScope, reading: ConversionStats, level: int, actions: Sequence[str]
    ) -> None:
        before = self._tripped.pop(scope.name, 0)
        if level:
            self._tripped[scope.name] = level
        if level != before:
            self._events.emit(
                "pumping_guard_state_changed",
                scope=scope.name,
                action=actions[level],
                mode=self._guard_mode.value,
                unverified=reading.unverified,
                sent=reading.sent,
                verified=reading.verified,
            )


def _narrow_entries(page: _Buffer, settled: _Settled) -> list[PendingUpdate]:
    """Return what counts in narrow scopes what is not counted there yet; what comes of it is *settled*."""
    counts: dict[tuple[ConversionScope, _Scopes], _Counts] = defaultdict(_Counts)
    for guards, group in page.groups.items():
        for scope in guards:
            if not scope.is_broad:
                counts[scope, _broad_of(guards)].add(group)
    return [
        PendingUpdate(
            Call(
                "conversion_stats",
                [keys.conversion_stats(scope.name)],
                _narrow_arguments(scope, broad, count),
            ),
            partial(settled.learn, scope, broad),
            counts=bool(count.sent or count.verified),
        )
        for (scope, broad), count in counts.items()
    ]


def _narrow_arguments(scope: ConversionScope, broad: _Scopes, count: _Counts) -> list[Argument]:
    limits = encoding.narrow_limits(scope.limits)
    return [count.uncounted, count.verified, *limits, 1, count.sent, *(each.name for each in broad)]


def _broad_of(guards: _Scopes) -> _Scopes:
    return tuple(scope for scope in guards if scope.is_broad)


def _broad_entries(
    page: _Buffer, settled: _Settled, learned: dict[ConversionScope, ConversionStats]
) -> list[PendingUpdate]:
    """Return what counts in broad scopes the SMS that no narrow one accounts for; they say *learned*."""
    changes = settled.changes
    for guards, group in page.groups.items():
        broad = _broad_of(guards)
        told = [settled.told[scope, broad] for scope in guards if (scope, broad) in settled.told]
        for place, scope in enumerate(broad):
            change = changes[scope]
            if all(states[place] == ConversionState.CALM for states in told):
                change.sent += group.sent
                change.verified += group.verified

    def learn(scope: ConversionScope, reply: Sequence[Any]) -> None:
        learned[scope] = decoding.broad_stats(scope.kind, reply)

    return [
        PendingUpdate(
            call, partial(learn, scope), counts=number == 0 and bool(change.sent or change.verified)
        )
        for scope, change in changes.items()
        for number, call in enumerate(_broad_calls(scope, change))
    ]


def _broad_calls(scope: ConversionScope, change: _Change) -> list[Call]:
    first = precheck.broad_call(scope, change.sent, change.verified, change.suspects, 1, b"")
    return [first, *(precheck.broad_call(scope, 0, 0, 0, sign, spans) for sign, spans in change.moved)]


def _learn_nothing(_: Sequence[Any]) -> None:
    """Leave it: the store has nothing to say to that."""
