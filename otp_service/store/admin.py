"""Reads and erases what Redis holds of one phone or address, for the operator's commands.

Verdicts are those of the scripts that serve requests, so that what is shown here is what a caller would meet.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from otp_service.domain.limits import GlobalFailureLimits, IpLimits, PhoneLimits
from otp_service.store import decoding, encoding, keys
from otp_service.store.backend import RedisNode
from otp_service.store.redis_client import RedisClient
from otp_service.store.scripts import Call

BATCH_SIZE = 100
"""Keys that are erased or read in one round trip."""

SCAN_SIZE = 1_000
"""Keys that the server looks at in one step of a search: less than a ms, in which it serves nobody else."""

ALL = 2**40
"""More wrong codes than there can be."""

_ADDRESSES = keys.ip_log("").removesuffix("}")
"""How the key of every address log begins."""

_GLOB = re.compile(r"[*?\[\]\\^-]")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the next call meets: *limit* refuses a verification for *wait* seconds, empty if none does."""

    is_restricted: bool
    is_locked: bool
    limit: str
    wait: int


@dataclass(frozen=True, slots=True)
class PastSend:
    """One send of the last day, *at* unix seconds. *verification* is the beginning of its verification's tag.

    *state* and *ended* are the letters of `phone_state.lua`: what became of the SMS, and of its verification.
    *code* is the provider's, of its refusal or of the delivery report.
    """

    verification: str
    number: int
    at: float
    state: str
    ended: str
    route: str
    code: str


@dataclass(frozen=True, slots=True)
class PhoneUsage:
    """What is counted of a phone. Times in unix seconds by the store's clock, oldest first.

    *untrusted_failures* and *trusted_failures*: wrong codes since the last success. *live*: verifications
    that can still be approved. *requesters*: how many addresses are trusted, since they verified it lately.
    *untrusted* and *trusted* say what the next call of either kind meets.
    """

    now: float
    sends: tuple[float, ...]
    failures: tuple[float, ...]
    untrusted_failures: int
    trusted_failures: int
    open_verifications: int
    is_known: bool
    requesters: int
    untrusted: Verdict
    trusted: Verdict

    @property
    def consecutive_failures(self) -> int:
        """Wrong codes since the last success."""
        return self.untrusted_failures + self.trusted_failures

    def sends_in(self, seconds: int) -> int:
        """Return how many SMS were sent in the last *seconds*, as the limits count them."""
        return _count(self.sends, self.now - seconds)

    def failures_in(self, seconds: int) -> int:
        """Return how many wrong codes there were in the last *seconds*, as the limits count them."""
        return _count(self.failures, self.now - seconds)


@dataclass(frozen=True, slots=True)
class IpUsage:
    """What is counted of an address: SMS that nobody has verified, their phones, what was verified.

    *suspicion* is the limit for which the next SMS takes a risk challenge, *limit* the one that refuses it
    for *wait* seconds; empty when none does.
    """

    sends_in_hour: int
    sends_in_day: int
    phones_in_day: int
    verified_in_day: int
    misses_in_10_minutes: int
    challenge_limit: str
    limit: str
    wait: int


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What was erased of a phone: so many *keys* of its own, and its entries in the logs of *addresses*."""

    keys: int
    addresses: int


@dataclass(frozen=True, slots=True)
class GlobalFailureStats:
    """The *wrong* codes of the day, of verifications that were never approved, and its approvals.

    *level* is that of the wrong-code alarm: 0, 1 or 2.
    """

    level: int
    wrong: int
    approved: int


class AdminStore:
    """What an operator may do to one phone or address, in the memory of *store*.

    Every method raises StoreUnavailable when the store fails; all of them can be repeated.
    """

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    # ── phones ──

    def phone_usage(self, tag: str, limits: PhoneLimits, attempts: int, *, client: str = "") -> PhoneUsage:
        """Return what is counted of a phone, judged by *limits* for a verification of *attempts*.

        In the slow lane each client has a seat of its own: *client* says whose is judged.
        """
        call = Call("phone_usage", [keys.phone_state(tag)], [encoding.limits(limits), client, attempts])
        now, sends, failures, *counts, untrusted, trusted = self._run(call)
        untrusted_failures, trusted_failures, open_verifications, known, requesters = counts
        return PhoneUsage(
            now=now / 1000,
            sends=tuple(at / 1000 for at in sends),
            failures=tuple(at / 1000 for at in failures),
            untrusted_failures=untrusted_failures,
            trusted_failures=trusted_failures,
            open_verifications=open_verifications,
            is_known=known == 1,
            requesters=requesters,
            untrusted=_verdict(untrusted),
            trusted=_verdict(trusted),
        )

    def phone_history(self, tag: str) -> tuple[PastSend, ...]:
        """Return the sends of the last day to a phone, the newest first."""
        _, sends = self._run(Call("phone_history", [keys.phone_state(tag)], []))
        return tuple(
            PastSend(
                verification=verification.decode(),
                number=number,
                at=at / 1000,
                state=state.decode(),
                ended=ended.decode(),
                route=route.decode(),
                code=code.decode(),
            )
            for verification, number, at, state, ended, route, code in reversed(sends)
        )

    def clear_phone(self, tag: str) -> None:
        """Forget what a phone was sent and its failures; its live verifications and its approval stay."""
        self._run(Call("phone_clear", [keys.phone_state(tag)], []))

    def erase_phone(self, tag: str) -> ErasureResult:
        """Erase everything that is kept of a phone.

        Everything means what was there when this began; a request that comes meanwhile is a new one. Every
        key of the store is looked at, in small steps.
        """
        gone = sum(self._unlink(batch) for batch in _batches(self._named(keys.phone_state(tag))))
        entries = sum(self._leave(batch, tag) for batch in _batches(self._named(_ADDRESSES)))
        return ErasureResult(gone, entries)

    # ── addresses ──

    def ip_usage(self, tag: str, limits: IpLimits) -> IpUsage:
        """Return what is counted of an address, judged by *limits* for another SMS to a new phone."""
        numbers = encoding.ip_limits(limits)
        reply = self._run(Call("ip_usage", [keys.ip_log(tag), keys.ip_misses(tag)], [numbers]))
        hour, day, phones, verified, misses, challenge_limit, limit, wait = reply
        return IpUsage(
            sends_in_hour=hour,
            sends_in_day=day,
            phones_in_day=phones,
            verified_in_day=verified,
            misses_in_10_minutes=misses,
            challenge_limit=challenge_limit.decode(),
            limit=limit.decode(),
            wait=math.ceil(wait / 1000),
        )

    def clear_ip(self, tag: str) -> None:
        """Forget sends and misses of an address; what was verified there goes on making room."""
        self._run(Call("ip_clear", [keys.ip_log(tag), keys.ip_misses(tag)], []))

    # ── the whole service ──

    def global_failures(self, limits: GlobalFailureLimits, now: float) -> GlobalFailureStats:
        """Return how the wrong-code alarm stands on the day of *now* (unix seconds), judged by *limits*."""
        wrong, approved = self._run(
            Call("global_failures", [keys.global_failures(encoding.day(now))], [0, 0])
        )
        return GlobalFailureStats(limits.level(wrong, approved), wrong, approved)

    def clear_global_failures(self, now: float) -> None:
        """Forget the wrong codes of the day of *now*, but not its approvals.

        Workers learn it with their next flush.
        """
        self._run(Call("global_failures", [keys.global_failures(encoding.day(now))], [-ALL, 0]))

    # ── steps ──

    def _run(self, call: Call) -> list[Any]:
        (reply,) = self._redis.run_scripts([call])
        decoding.raise_if_rejected(reply)
        return reply[1:]

    def _named(self, start: str) -> Iterator[bytes]:
        """Search for all keys that begin with *start*; one may come twice."""
        pattern = _GLOB.sub(r"\\\g<0>", start) + "*"
        for node in self._redis.call(lambda backend: backend.primaries()):
            cursor = 0
            while True:
                cursor, found = self._scan(node, cursor, pattern)
                yield from found
                if not cursor:
                    break

    def _scan(self, node: RedisNode, cursor: int, pattern: str) -> tuple[int, list[Any]]:
        command = "SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_SIZE
        ((following, found),) = self._redis.call(lambda _: node.execute([command]).raise_errors())
        return int(following), found

    def _unlink(self, batch: list[bytes]) -> int:
        """Erase the keys of *batch*, which may lie on several servers."""
        commands = [("UNLINK", key.decode()) for key in batch]
        return sum(self._redis.call(lambda backend: backend.execute(commands).raise_errors()))

    def _leave(self, logs: list[bytes], tag: str) -> int:
        """Take the phone *tag* out of *logs* and return out of how many."""
        phone = encoding.short_phone_hash(tag)
        calls = [Call("ip_erase_phone", [log.decode()], [phone]) for log in logs]
        told = self._redis.run_scripts(calls)
        for reply in told:
            decoding.raise_if_rejected(reply)
        return sum(reply[1] > 0 for reply in told)


def _verdict(reply: list[Any]) -> Verdict:
    slow, locked, limit, wait = reply
    return Verdict(slow == 1, locked == 1, limit.decode(), math.ceil(wait / 1000))


def _count(times: tuple[float, ...], since: float) -> int:
    return sum(at > since for at in times)


def _batches(found: Iterator[bytes]) -> Iterator[list[bytes]]:
    while batch := list(islice(found, BATCH_SIZE)):
        yield batch
