"""Usage counters that requests do not wait for; all processes share them about twice a second.

They count misses per IP address, the wrong codes of the whole service, and SMS sent and verified. Each
request adds to a buffer; one round trip writes the buffer to Redis and reads the totals of all processes. In
between, a process knows only its own share, so a limit can be exceeded by what the processes count in that
time. Code guessing is bounded by the scripts of the phone, not by these counters.
"""

from __future__ import annotations

import math
import threading
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
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

WRITE_INTERVAL = 0.5
"""Seconds from one write to the next."""

MIN_WRITE_INTERVAL = 0.05
"""Seconds from one write to the next if it is urgent."""

SCRIPTS_PER_ROUND_TRIP = 200
"""Maximum number of scripts in one round trip."""

WINDOW_SECONDS = 660
"""Ten minutes and the current minute."""

_ACTIONS = ("none", "challenge", "block")
_BROAD_ACTIONS = ("none", "strict", "stricter", "challenge")

_SUSPECTS = {ConversionState.CALM: 0, ConversionState.SUSPECT: 1, ConversionState.TRIPPED: 20}
"""How many suspects a narrow scope counts as, by its state. Broad scopes with too many become strict."""

RunScripts = Callable[[Sequence[Call]], list[list[Any]]]

_Scopes = tuple[ConversionScope, ...]


@dataclass(frozen=True, slots=True)
class PendingUpdate:
    """A script call, and *apply*, which handles its reply. Unless it *counts*, it only reads totals."""

    call: Call
    apply: Callable[[Sequence[Any]], None]
    counts: bool = True


@dataclass
class _Counts:
    """SMS of the same scopes. *uncounted* are sent SMS that the narrow scopes have not counted yet."""

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
    """The changes of one broad scope in a write; *moved*: buckets that a narrow scope returns or removes."""

    sent: int = 0
    verified: int = 0
    suspects: int = 0
    moved: list[tuple[int, bytes]] = field(default_factory=list)

    def apply(self, before: ConversionState, now: ConversionState, spans: bytes) -> None:
        """Record a narrow scope's change from *before* to *now*; *spans* are its buckets counted here."""
        self.suspects += _SUSPECTS[now] - _SUSPECTS[before]
        if (now is ConversionState.CALM) != (before is ConversionState.CALM):
            self.moved.append((1 if now is ConversionState.CALM else -1, spans))


@dataclass
class _NarrowResults:
    """The results of the narrow scopes in a write.

    *known_states* maps a narrow scope and the broad scopes of some calls to the states that the broad scopes
    knew when the calls were counted. *changes* are updates for broad scopes, including those of other calls.
    """

    readings: dict[ConversionScope, ConversionStats] = field(default_factory=dict)
    known_states: dict[tuple[ConversionScope, _Scopes], bytes] = field(default_factory=dict)
    changes: dict[ConversionScope, _Change] = field(default_factory=lambda: defaultdict(_Change))

    def apply(self, scope: ConversionScope, broad: _Scopes, reply: Sequence[Any]) -> None:
        """Handle the reply of the narrow *scope* for calls in *broad* scopes; see `conversion_stats.lua`."""
        reading = decoding.narrow_stats(scope.kind, reply)
        self.readings[scope] = reading
        self.known_states[scope, broad], *shares = reply[7:]
        limits = {each.kind: each for each in broad}
        for name, before, spans in zip(shares[::3], shares[1::3], shares[2::3], strict=True):
            kind = name.decode().partition(":")[0]
            broad_scope = replace(limits[kind], name=name.decode())
            self.changes[broad_scope].apply(ConversionState(before), reading.state, spans)


@dataclass
class _Buffer:
    """What was counted since the last write."""

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
        """Return how many misses count against *limit*; after a full window has ended, one more fits."""
        return limit - 1 if self.total >= limit and now >= self.full_until else self.total


class RedisUsageCounters:
    """Implements `interfaces.UsageCounters`. *run_scripts* runs scripts in one round trip."""

    def __init__(
        self,
        run_scripts: RunScripts,
        *,
        limits: GlobalFailureLimits,
        guard_mode: PumpingGuardMode = PumpingGuardMode.RECORD_ONLY,
        clock: Clock,
        events: EventLogger,
    ) -> None:
        self._run_scripts = run_scripts
        self._limits = limits
        self._guard_mode = guard_mode
        self._clock = clock
        self._events = events
        self._is_started = False
        self._windows: dict[str, _Window] = {}
        self._level = 0
        self._tripped: dict[str, int] = {}
        self._is_closed = False
        self._begin()
        forks.call_in_child(self._begin)

    def start(self) -> None:
        """Start the thread that writes."""
        self._is_started = True
        self._thread.start()

    def _begin(self) -> None:
        """Begin with an empty buffer: after a fork, the parent writes what it has counted."""
        self._lock = threading.Lock()
        self._buffer = _Buffer()
        self._lost = 0
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="usage-counters", daemon=True)
        if self._is_started and not self._is_closed:
            self._thread.start()

    def close(self) -> None:
        """Write what is left and stop."""
        self._is_closed = True
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._write_safely()
        self._emit_lost()

    # ── counting ──

    def record_miss(self, quota: ClientIpQuota) -> None:
        """See `interfaces.UsageCounters.record_miss`."""
        with self._lock:
            self._buffer.misses[quota] += 1

    def seconds_until_misses_allowed(self, quota: ClientIpQuota) -> int:
        """See `interfaces.UsageCounters.seconds_until_misses_allowed`."""
        limit = quota.limits.misses_per_10_minutes
        with self._lock:
            now = self._clock.monotonic()
            window = self._windows.get(quota.ip_hash, _Window(0, now, now))
            if window.count(limit, now) + self._buffer.misses.get(quota, 0) < limit:
                return 0
            return max(1, math.ceil(window.full_until - now))

    def record_send(
        self, scopes: Sequence[ConversionScope], *, is_counted: bool = False, is_urgent: bool = False
    ) -> None:
        """See `interfaces.UsageCounters.record_send`."""
        with self._lock:
            counts = self._buffer.groups[tuple(scopes)]
            counts.sent += 1
            counts.uncounted += not is_counted
        if is_urgent:
            self._wake.set()

    def record_tripped(self, scopes: Sequence[ConversionScope]) -> None:
        """See `interfaces.UsageCounters.record_tripped`."""
        with self._lock:
            self._buffer.groups[tuple(scopes)].sent += 0
        self._wake.set()

    def record_failure(self) -> None:
        """See `interfaces.UsageCounters.record_failure`."""
        with self._lock:
            self._buffer.wrong += 1

    def record_approval(
        self,
        phone_hash: str,
        failed_attempts: int,
        quota: ClientIpQuota | None,
        scopes: Sequence[ConversionScope],
    ) -> None:
        """See `interfaces.UsageCounters.record_approval`."""
        with self._lock:
            self._buffer.wrong -= failed_attempts
            self._buffer.approvals += 1
            if quota:
                self._buffer.verified[quota.ip_hash].append(encoding.short_phone_hash(phone_hash))
            if scopes:
                self._buffer.groups[tuple(scopes)].verified += 1

    def global_risk_level(self) -> int:
        """See `interfaces.UsageCounters.global_risk_level`."""
        return self._level

    # ── writing ──

    def write(self) -> None:
        """Write everything counted so far to Redis, and read the totals.

        Updates that Redis may or may not have counted when it failed are not sent again, because they could
        be counted twice. The number of lost updates is logged once, when Redis works again.
        """
        with self._lock:
            buffer, self._buffer = self._buffer, _Buffer()
        results = _NarrowResults()
        works = self._execute([*self._entries(buffer), *_narrow_entries(buffer, results)])
        broad: dict[ConversionScope, ConversionStats] = {}
        works &= self._execute(_broad_entries(buffer, results, broad))
        self._emit_state_changes(buffer, results.readings, broad)
        if works:
            self._emit_lost()
        self._drop_idle_windows()

    def _execute(self, entries: Sequence[PendingUpdate]) -> bool:
        """Run *entries* and handle their replies; return whether Redis accepted all of them."""
        works = True
        for start in range(0, len(entries), SCRIPTS_PER_ROUND_TRIP):
            part = entries[start : start + SCRIPTS_PER_ROUND_TRIP]
            try:
                replies = self._run_scripts([entry.call for entry in part])
            except StoreUnavailable:
                works = False
                self._lost += sum(entry.counts for entry in part)
                continue
            for entry, reply in zip(part, replies, strict=True):
                entry.apply(reply)
        return works

    def _run(self) -> None:
        while not self._stop.wait(MIN_WRITE_INTERVAL):
            self._wake.wait(WRITE_INTERVAL - MIN_WRITE_INTERVAL)
            self._wake.clear()
            self._write_safely()

    def _write_safely(self) -> None:
        """Write. A bug must not end the thread: guard and alarm would stop, and the buffer would grow."""
        try:
            self.write()
        except Exception as error:  # noqa: BLE001 - the next write may work
            place = traceback.extract_tb(error.__traceback__)[-1]
            self._events.emit(
                "unhandled_exception",
                endpoint="usage_counters",
                error=type(error).__name__,
                origin=f"{Path(place.filename).name}:{place.lineno}",
            )

    def _emit_lost(self) -> None:
        """Log how many entries were lost in an outage that is over, if any."""
        if self._lost:
            self._events.emit("counter_flush_failed", entries=self._lost)
            self._lost = 0

    def _drop_idle_windows(self) -> None:
        """Drop the windows of IP addresses without recent misses."""
        now = self._clock.monotonic()
        with self._lock:
            self._windows = {ip: w for ip, w in self._windows.items() if now - w.read_at < WINDOW_SECONDS}

    # ── the contents of a write ──

    def _entries(self, buffer: _Buffer) -> list[PendingUpdate]:
        entries: list[PendingUpdate] = []
        for quota, count in buffer.misses.items():
            limit = quota.limits.misses_per_10_minutes
            call = Call("ip_misses", [keys.ip_misses(quota.ip_hash)], [count, limit])
            entries.append(PendingUpdate(call, partial(self._apply_misses, quota)))
        for ip_hash, phones in buffer.verified.items():
            verified = Call("ip_approved", [keys.ip_log(ip_hash)], list(phones))
            entries.append(PendingUpdate(verified, _ignore_reply))
        day = encoding.day(self._clock.now())
        call = Call("global_failures", [keys.global_failures(day)], [buffer.wrong, buffer.approvals])
        entries.append(
            PendingUpdate(call, self._apply_failures, counts=bool(buffer.wrong or buffer.approvals))
        )
        return entries

    def _apply_misses(self, quota: ClientIpQuota, reply: Sequence[Any]) -> None:
        _, total, wait_ms = reply
        now = self._clock.monotonic()
        window = _Window(total, now, now + wait_ms / 1000)
        with self._lock:
            self._windows[quota.ip_hash] = window

    def _apply_failures(self, reply: Sequence[Any]) -> None:
        _, wrong, approvals = reply
        level = self._limits.level(wrong, approvals)
        if level != self._level:
            self._events.emit(
                "global_failure_level_changed", alarm_level=level, wrong=wrong, approved=approvals
            )
        self._level = level

    def _emit_state_changes(
        self,
        buffer: _Buffer,
        readings: Mapping[ConversionScope, ConversionStats],
        broad: Mapping[ConversionScope, ConversionStats],
    ) -> None:
        """Log what the guard does, or would do if it were enforced, whenever that changes."""
        for scope, reading in broad.items():
            self._emit_state_change(scope, reading, reading.level, _BROAD_ACTIONS)
        strict = {
            scope
            for scopes in buffer.groups
            if any(broad[each].level for each in scopes if each in broad)
            for scope in scopes
        }
        for scope, reading in readings.items():
            level = max(reading.level, int(reading.is_suspect and scope in strict))
            self._emit_state_change(scope, reading, level, _ACTIONS)

    def _emit_state_change(
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


def _narrow_entries(buffer: _Buffer, results: _NarrowResults) -> list[PendingUpdate]:
    """Return the updates for what narrow scopes have not counted yet; their replies go to *results*."""
    counts: dict[tuple[ConversionScope, _Scopes], _Counts] = defaultdict(_Counts)
    for scopes, group in buffer.groups.items():
        for scope in scopes:
            if not scope.is_broad:
                counts[scope, _broad_of(scopes)].add(group)
    return [
        PendingUpdate(
            Call(
                "conversion_stats",
                [keys.conversion_stats(scope.name)],
                _narrow_arguments(scope, broad, count),
            ),
            partial(results.apply, scope, broad),
            counts=bool(count.sent or count.verified),
        )
        for (scope, broad), count in counts.items()
    ]


def _narrow_arguments(scope: ConversionScope, broad: _Scopes, count: _Counts) -> list[Argument]:
    limits = encoding.narrow_limits(scope.limits)
    return [count.uncounted, count.verified, *limits, 1, count.sent, *(each.name for each in broad)]


def _broad_of(scopes: _Scopes) -> _Scopes:
    return tuple(scope for scope in scopes if scope.is_broad)


def _broad_entries(
    buffer: _Buffer, results: _NarrowResults, stats: dict[ConversionScope, ConversionStats]
) -> list[PendingUpdate]:
    """Return the updates of broad scopes for SMS that no narrow one covers; *stats* gets the replies."""
    changes = results.changes
    for scopes, group in buffer.groups.items():
        broad = _broad_of(scopes)
        known = [
            results.known_states[key] for scope in scopes if (key := (scope, broad)) in results.known_states
        ]
        for place, scope in enumerate(broad):
            change = changes[scope]
            if all(states[place] == ConversionState.CALM for states in known):
                change.sent += group.sent
                change.verified += group.verified

    def apply(scope: ConversionScope, reply: Sequence[Any]) -> None:
        stats[scope] = decoding.broad_stats(scope.kind, reply)

    return [
        PendingUpdate(
            call, partial(apply, scope), counts=number == 0 and bool(change.sent or change.verified)
        )
        for scope, change in changes.items()
        for number, call in enumerate(_broad_calls(scope, change))
    ]


def _broad_calls(scope: ConversionScope, change: _Change) -> list[Call]:
    first = precheck.broad_call(scope, change.sent, change.verified, change.suspects, 1, b"")
    return [first, *(precheck.broad_call(scope, 0, 0, 0, sign, spans) for sign, spans in change.moved)]


def _ignore_reply(_: Sequence[Any]) -> None:
    """Ignore a reply without content."""
