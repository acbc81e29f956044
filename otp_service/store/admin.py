"""Reads and erases what Redis holds about one phone or IP address, for the operator's commands.

Limit statuses come from the functions that also judge requests, so an operator sees what a caller would meet.
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
"""Keys that the server scans in one step: less than a ms, during which it does nothing else."""

ALL = 2**40
"""More wrong codes than can exist."""

_IP_LOGS = keys.ip_log("").removesuffix("}")
"""The prefix of the keys of all IP logs."""

_GLOB = re.compile(r"[*?\[\]\\^-]")


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """What the next call would meet: the *limit*, if any, that rejects it for *wait* seconds."""

    is_restricted: bool
    is_locked: bool
    limit: str
    wait: int


@dataclass(frozen=True, slots=True)
class PastSend:
    """One send of the last day, *at* unix seconds. *verification* is the beginning of the verification hash.

    *state* and *ended* are the letters in `phone_state.lua`: the state of the SMS and of its verification.
    *code* is the provider's code, from its refusal or from the delivery report.
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
    """The counts of a phone. Times in unix seconds by the store's clock, oldest first.

    *untrusted_failures* and *trusted_failures*: wrong codes since the last success. *open_verifications* can
    still be approved. *requesters*: how many IP addresses are trusted because they verified the phone
    recently. *untrusted* and *trusted*: the state that the next call of either kind meets.
    """

    now: float
    sends: tuple[float, ...]
    failures: tuple[float, ...]
    untrusted_failures: int
    trusted_failures: int
    open_verifications: int
    is_known: bool
    requesters: int
    untrusted: LimitStatus
    trusted: LimitStatus

    @property
    def consecutive_failures(self) -> int:
        """Wrong codes since the last success."""
        return self.untrusted_failures + self.trusted_failures

    def sends_in(self, seconds: int) -> int:
        """Return the SMS sent in the last *seconds*, as the limits count them."""
        return _count(self.sends, self.now - seconds)

    def failures_in(self, seconds: int) -> int:
        """Return the wrong codes of the last *seconds*, as the limits count them."""
        return _count(self.failures, self.now - seconds)


@dataclass(frozen=True, slots=True)
class IpUsage:
    """The counts of an IP address: unverified SMS and their phones, verified phones, misses.

    *challenge_limit* is the limit that requires a risk challenge for the next SMS. *limit* is the limit that
    rejects it for *wait* seconds. Both are empty if there is none.
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
    """How many *keys* of a phone were erased, and from how many *ip_logs* its entries were removed."""

    keys: int
    ip_logs: int


@dataclass(frozen=True, slots=True)
class GlobalFailureStats:
    """The *wrong* codes of a day, of verifications that were never approved, and its approvals.

    *level* is the resulting risk level: 0, 1 or 2.
    """

    level: int
    wrong: int
    approved: int


class AdminStore:
    """What an operator can read and erase.

    Every method raises StoreUnavailable when Redis fails, and can be repeated.
    """

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    # ── phones ──

    def phone_usage(
        self, phone_hash: str, limits: PhoneLimits, attempts: int, *, client: str = ""
    ) -> PhoneUsage:
        """Return the counts of a phone, judged by *limits* for a new verification with this many *attempts*.

        In restricted mode each client may have a verification a day: *client* says which client asks.
        """
        call = Call(
            "phone_usage", [keys.phone_state(phone_hash)], [encoding.limits(limits), client, attempts]
        )
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
            untrusted=_limit_status(untrusted),
            trusted=_limit_status(trusted),
        )

    def phone_history(self, phone_hash: str) -> tuple[PastSend, ...]:
        """Return the sends to a phone in the last day, newest first."""
        _, sends = self._run(Call("phone_history", [keys.phone_state(phone_hash)], []))
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

    def clear_phone(self, phone_hash: str) -> None:
        """Erase the sends and failures of a phone. Its open verifications and last approval stay."""
        self._run(Call("phone_clear", [keys.phone_state(phone_hash)], []))

    def erase_phone(self, phone_hash: str) -> ErasureResult:
        """Erase everything that is stored about a phone at the time of the call.

        A request that arrives meanwhile may store new data. All keys of Redis are scanned, in small steps.
        """
        gone = sum(self._unlink(batch) for batch in _batches(self._named(keys.phone_state(phone_hash))))
        entries = sum(
            self._remove_from_ip_logs(batch, phone_hash) for batch in _batches(self._named(_IP_LOGS))
        )
        return ErasureResult(gone, entries)

    # ── IP addresses ──

    def ip_usage(self, ip_hash: str, limits: IpLimits) -> IpUsage:
        """Return the counts of an IP address, judged by *limits* for another SMS to a new phone."""
        numbers = encoding.ip_limits(limits)
        reply = self._run(Call("ip_usage", [keys.ip_log(ip_hash), keys.ip_misses(ip_hash)], [numbers]))
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

    def clear_ip(self, ip_hash: str) -> None:
        """Erase the sends and misses of an IP address. Its approvals stay and still raise its limits."""
        self._run(Call("ip_clear", [keys.ip_log(ip_hash), keys.ip_misses(ip_hash)], []))

    # ── the whole service ──

    def global_failures(self, limits: GlobalFailureLimits, now: float) -> GlobalFailureStats:
        """Return the failures on the day of *now* (unix seconds) and their level by *limits*."""
        wrong, approved = self._run(
            Call("global_failures", [keys.global_failures(encoding.day(now))], [0, 0])
        )
        return GlobalFailureStats(limits.level(wrong, approved), wrong, approved)

    def clear_global_failures(self, now: float) -> None:
        """Erase the wrong codes of the day of *now*, but not its approvals.

        Workers learn of it when they next share their counters.
        """
        self._run(Call("global_failures", [keys.global_failures(encoding.day(now))], [-ALL, 0]))

    # ── steps ──

    def _run(self, call: Call) -> list[Any]:
        (reply,) = self._redis.run_scripts([call])
        decoding.raise_if_rejected(reply)
        return reply[1:]

    def _named(self, start: str) -> Iterator[bytes]:
        """Yield all keys that begin with *start*; a key may be repeated."""
        pattern = _GLOB.sub(r"\\\g<0>", start) + "*"
        with self._redis.round_trip() as backend:
            nodes = backend.primaries()
        for node in nodes:
            cursor = 0
            while True:
                cursor, found = self._scan(node, cursor, pattern)
                yield from found
                if not cursor:
                    break

    def _scan(self, node: RedisNode, cursor: int, pattern: str) -> tuple[int, list[Any]]:
        command = "SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_SIZE
        with self._redis.round_trip():
            ((following, found),) = node.execute([command]).raise_errors()
        return int(following), found

    def _unlink(self, batch: list[bytes]) -> int:
        """Erase the keys of *batch*, which may be on several servers."""
        commands = [("UNLINK", key.decode()) for key in batch]
        return sum(self._redis.run_commands(commands))

    def _remove_from_ip_logs(self, logs: list[bytes], phone_hash: str) -> int:
        """Remove the phone from *logs* and return the number of logs that contained it."""
        phone = encoding.short_phone_hash(phone_hash)
        calls = [Call("ip_erase_phone", [log.decode()], [phone]) for log in logs]
        replies = self._redis.run_scripts(calls)
        for reply in replies:
            decoding.raise_if_rejected(reply)
        return sum(reply[1] > 0 for reply in replies)


def _limit_status(reply: list[Any]) -> LimitStatus:
    restricted, locked, limit, wait = reply
    return LimitStatus(restricted == 1, locked == 1, limit.decode(), math.ceil(wait / 1000))


def _count(times: tuple[float, ...], since: float) -> int:
    return sum(at > since for at in times)


def _batches(found: Iterator[bytes]) -> Iterator[list[bytes]]:
    while batch := list(islice(found, BATCH_SIZE)):
        yield batch
