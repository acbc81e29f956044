"""The ledger: counters that nobody waits for, shared by all processes about every second. Touches Redis.

Attempts per address, wrong codes of the whole service, what was sent and verified: each call notes them here,
one flush carries them all to the store and brings the totals of all processes back. Between two flushes a
process knows its own share only, so a limit may be exceeded by what happens meanwhile, times the processes.
Guessing is bounded by the scripts of the phone, not by this.
"""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from otp_service.errors import LimitReached, StoreUnavailable
from otp_service.limits import WrongCodeLimits
from otp_service.ports import AddressSlot, Clock, Events, GuardScope
from otp_service.store import arguments, keys, replies
from otp_service.store.scripts import Call

FLUSH_SECONDS = 0.5

FLUSH_SIZE = 200
"""Scripts in one round trip."""

WINDOW_SECONDS = 660
"""Ten minutes, and the one that is under way."""

_ACTIONS = ("none", "challenge", "block")

ATTEMPTS_LIMIT = "address_attempts_per_10_minutes"

Flush = Callable[[Sequence[Call]], list[list[Any]]]
Entry = tuple[Call, Callable[[Sequence[Any]], None]]
"""A script, and what is to be learned from its reply."""


@dataclass
class _Page:
    """What was noted since the last flush."""

    attempts: dict[AddressSlot, int] = field(default_factory=lambda: defaultdict(int))
    verified: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    sent: dict[GuardScope, int] = field(default_factory=lambda: defaultdict(int))
    approved_in: dict[GuardScope, int] = field(default_factory=lambda: defaultdict(int))
    wrong: int = 0
    approvals: int = 0


@dataclass(frozen=True)
class _Window:
    """The attempts from one address: *total* as of *read_at*, and until when it is too much (monotonic)."""

    total: int
    read_at: float
    full_until: float

    def count(self, limit: int, now: float) -> int:
        """Return how many count against *limit*; once the time of a full window is over, one more fits."""
        return limit - 1 if self.total >= limit and now >= self.full_until else self.total


class RedisLedger:
    """Implements `ports.Ledger`. *flush* runs scripts in one round trip."""

    def __init__(
        self,
        flush: Flush,
        *,
        limits: WrongCodeLimits,
        clock: Clock,
        events: Events,
    ) -> None:
        self._flush = flush
        self._limits = limits
        self._clock = clock
        self._events = events
        self._lock = threading.Lock()
        self._page = _Page()
        self._windows: dict[str, _Window] = {}
        self._alarm = 0
        self._tripped: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        """Begin to flush."""
        self._thread.start()

    def close(self) -> None:
        """Flush what is left and stop."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()

    # ── notes ──

    def admit_attempt(self, address: AddressSlot) -> None:
        """See `ports.Ledger.admit_attempt`."""
        limit = address.limits.attempts_per_10_minutes
        with self._lock:
            now = self._clock.monotonic()
            window = self._windows.get(address.tag, _Window(0, now, now))
            if window.count(limit, now) + self._page.attempts.get(address, 0) >= limit:
                wait = max(1, math.ceil(window.full_until - now))
                raise LimitReached(wait, ATTEMPTS_LIMIT)
            self._page.attempts[address] += 1

    def sent(self, guards: Sequence[GuardScope]) -> None:
        """See `ports.Ledger.sent`."""
        with self._lock:
            for scope in guards:
                self._page.sent[scope] += 1

    def wrong_code(self) -> None:
        """See `ports.Ledger.wrong_code`."""
        with self._lock:
            self._page.wrong += 1

    def approved(
        self, tag: str, wrong: int, address: AddressSlot | None, guards: Sequence[GuardScope]
    ) -> None:
        """See `ports.Ledger.approved`."""
        with self._lock:
            self._page.wrong -= wrong
            self._page.approvals += 1
            if address:
                self._page.attempts[address] -= 1
                self._page.verified[address.tag].append(arguments.short_phone(tag))
            for scope in guards:
                self._page.approved_in[scope] += 1

    def alarm(self) -> int:
        """See `ports.Ledger.alarm`."""
        return self._alarm

    # ── the flush ──

    def flush(self) -> None:
        """Carry everything noted so far to the store, and learn the totals.

        What a failing store may or may not have counted is not told again: it would count twice.
        """
        with self._lock:
            page, self._page = self._page, _Page()
        entries = self._entries(page)
        for start in range(0, len(entries), FLUSH_SIZE):
            part = entries[start : start + FLUSH_SIZE]
            try:
                told = self._flush([call for call, _ in part])
            except StoreUnavailable:
                self._events.emit("ledger_lost", entries=len(part))
                continue
            for (_, learn), reply in zip(part, told, strict=True):
                learn(reply)
        self._forget()

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_SECONDS):
            self.flush()

    def _forget(self) -> None:
        """Forget addresses that have been quiet for as long as attempts count."""
        now = self._clock.monotonic()
        with self._lock:
            self._windows = {tag: w for tag, w in self._windows.items() if now - w.read_at < WINDOW_SECONDS}

    # ── what a flush carries, and what it tells ──

    def _entries(self, page: _Page) -> list[Entry]:
        entries: list[Entry] = []
        for address, count in page.attempts.items():
            if not count:
                continue  # all of them were right
            limit = address.limits.attempts_per_10_minutes
            call = Call("address_attempts", [keys.attempts(address.tag)], [count, limit])
            entries.append((call, partial(self._learn_attempts, address)))
        for tag, phones in page.verified.items():
            entries.append((Call("address_verified", [keys.address(tag)], list(phones)), _learn_nothing))
        for scope in page.sent.keys() | page.approved_in.keys():
            counts = page.sent.get(scope, 0), page.approved_in.get(scope, 0)
            call = Call("guard", [keys.guard(scope.name)], [*counts, *arguments.guard_limits(scope.limits)])
            entries.append((call, partial(self._learn_guard, scope)))
        day = arguments.day(self._clock.now())
        call = Call("wrong_codes", [keys.wrong_codes(day)], [page.wrong, page.approvals])
        entries.append((call, self._learn_alarm))
        return entries

    def _learn_attempts(self, address: AddressSlot, reply: Sequence[Any]) -> None:
        _, total, wait_ms = reply
        now = self._clock.monotonic()
        window = _Window(total, now, now + wait_ms / 1000)
        with self._lock:
            self._windows[address.tag] = window

    def _learn_alarm(self, reply: Sequence[Any]) -> None:
        _, wrong, approvals = reply
        level = self._limits.level(wrong, approvals)
        if level != self._alarm:
            self._events.emit("wrong_code_alarm", level=level, wrong=wrong, approved=approvals)
        self._alarm = level

    def _learn_guard(self, scope: GuardScope, reply: Sequence[Any]) -> None:
        """Say what the guard would do, or does where it is enforced, whenever that changes."""
        reading = replies.guard_reading(scope.kind, reply)
        before = self._tripped.pop(scope.name, 0)
        if reading.level:
            self._tripped[scope.name] = reading.level
        if reading.level != before:
            self._events.emit(
                "guard_tripped",
                scope=scope.name,
                action=_ACTIONS[reading.level],
                unverified=reading.unverified,
                sent=reading.sent,
                verified=reading.verified,
            )


def _learn_nothing(_: Sequence[Any]) -> None:
    """Leave it: the store has nothing to say to that."""
