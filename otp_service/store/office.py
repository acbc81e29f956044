"""The office: what an operator asks of one phone or address, and has forgotten. Touches Redis.

Verdicts are those of the scripts that serve requests, so that what is shown here is what a caller would meet.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from otp_service.limits import AddressLimits, PhoneLimits
from otp_service.store import arguments, keys, replies
from otp_service.store.scripts import Call
from otp_service.store.store import FLUSH_SIZE, RedisStore
from otp_service.store.wire import Wire

SCAN_SIZE = 1_000
"""Keys that the server looks at in one step of a search: less than a ms, in which it serves nobody else."""

_ADDRESSES = keys.address("").removesuffix("}")
"""How the key of every address log begins."""

_GLOB = re.compile(r"[*?\[\]\\^-]")


@dataclass(frozen=True, slots=True)
class PhoneFacts:
    """What is counted of a phone. Times in unix seconds by the store's clock, oldest first.

    *streak*: wrong codes since the last success. *live*: verifications that can still be approved. *limit* is
    what refuses a new verification for *wait* seconds, empty when nothing does.
    """

    now: float
    sends: tuple[float, ...]
    failures: tuple[float, ...]
    streak: int
    live: int
    is_known: bool
    is_slow: bool
    is_locked: bool
    limit: str
    wait: int

    def sends_in(self, seconds: int) -> int:
        """Return how many SMS were sent in the last *seconds*, as the limits count them."""
        return _count(self.sends, self.now - seconds)

    def failures_in(self, seconds: int) -> int:
        """Return how many wrong codes there were in the last *seconds*, as the limits count them."""
        return _count(self.failures, self.now - seconds)


@dataclass(frozen=True, slots=True)
class AddressFacts:
    """What is counted of an address: SMS that nobody has verified, their phones, what was verified.

    *suspicion* is the limit for which the next SMS takes a risk challenge, *limit* the one that refuses it
    for *wait* seconds; empty when none does.
    """

    sends_in_hour: int
    sends_in_day: int
    phones_in_day: int
    verified_in_day: int
    attempts_in_10_minutes: int
    suspicion: str
    limit: str
    wait: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was erased of a phone: so many *keys* of its own, and its entries in the logs of *addresses*."""

    keys: int
    addresses: int


class RedisOffice:
    """What an operator may do to one phone or address, in the memory of *store*.

    Every method raises StoreUnavailable when the store fails; all of them can be repeated.
    """

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    # ── phones ──

    def phone_facts(self, tag: str, limits: PhoneLimits, attempts: int) -> PhoneFacts:
        """Return what is counted of a phone, judged by *limits* for a verification of *attempts*."""
        call = Call("phone_facts", [keys.row(tag)], [arguments.limits(limits), attempts])
        now, sends, failures, streak, live, known, slow, locked, limit, wait = self._run(call)
        return PhoneFacts(
            now=now / 1000,
            sends=tuple(at / 1000 for at in sends),
            failures=tuple(at / 1000 for at in failures),
            streak=streak,
            live=live,
            is_known=known == 1,
            is_slow=slow == 1,
            is_locked=locked == 1,
            limit=limit.decode(),
            wait=math.ceil(wait / 1000),
        )

    def clear_phone(self, tag: str) -> None:
        """Forget what a phone was sent and its failures; its live verifications and its approval stay."""
        self._run(Call("phone_clear", [keys.row(tag)], []))

    def forget(self, tag: str) -> Forgotten:
        """Erase everything that is kept of a phone.

        Everything means what was there when this began; a request that comes meanwhile is a new one. Every
        key of the store is looked at, in small steps.
        """
        gone = sum(self._unlink(batch) for batch in _batches(self._named(keys.row(tag))))
        entries = sum(self._leave(batch, tag) for batch in _batches(self._named(_ADDRESSES)))
        return Forgotten(gone, entries)

    # ── addresses ──

    def address_facts(self, tag: str, limits: AddressLimits) -> AddressFacts:
        """Return what is counted of an address, judged by *limits* for another SMS to a new phone."""
        numbers = arguments.address_limits(limits)
        reply = self._run(Call("address_facts", [keys.address(tag), keys.attempts(tag)], [numbers]))
        hour, day, phones, verified, attempts, suspicion, limit, wait = reply
        return AddressFacts(
            sends_in_hour=hour,
            sends_in_day=day,
            phones_in_day=phones,
            verified_in_day=verified,
            attempts_in_10_minutes=attempts,
            suspicion=suspicion.decode(),
            limit=limit.decode(),
            wait=math.ceil(wait / 1000),
        )

    def clear_address(self, tag: str) -> None:
        """Forget sends and attempts of an address; what was verified there goes on making room."""
        self._run(Call("address_clear", [keys.address(tag), keys.attempts(tag)], []))

    # ── steps ──

    def _run(self, call: Call) -> list[Any]:
        (reply,) = self._store.flush([call])
        replies.raise_refusal(reply)
        return reply[1:]

    def _named(self, start: str) -> Iterator[bytes]:
        """Search for all keys that begin with *start*; one may come twice."""
        pattern = _GLOB.sub(r"\\\g<0>", start) + "*"
        for wire in self._store.guarded(lambda servers: servers.masters()):
            cursor = 0
            while True:
                cursor, found = self._scan(wire, cursor, pattern)
                yield from found
                if not cursor:
                    break

    def _scan(self, wire: Wire, cursor: int, pattern: str) -> tuple[int, list[Any]]:
        command = "SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_SIZE
        ((following, found),) = self._store.guarded(lambda _: wire.trip([command]).sound())
        return int(following), found

    def _unlink(self, batch: list[bytes]) -> int:
        """Erase the keys of *batch*, which may lie on several servers."""
        commands = [("UNLINK", key.decode()) for key in batch]
        return sum(self._store.guarded(lambda servers: servers.trip(commands).sound()))

    def _leave(self, logs: list[bytes], tag: str) -> int:
        """Take the phone *tag* out of *logs* and return out of how many."""
        phone = arguments.short_phone(tag)
        calls = [Call("address_forget", [log.decode()], [phone]) for log in logs]
        told = self._store.flush(calls)
        for reply in told:
            replies.raise_refusal(reply)
        return sum(reply[1] > 0 for reply in told)


def _count(times: tuple[float, ...], since: float) -> int:
    return sum(at > since for at in times)


def _batches(found: Iterator[bytes]) -> Iterator[list[bytes]]:
    while batch := list(islice(found, FLUSH_SIZE)):
        yield batch
