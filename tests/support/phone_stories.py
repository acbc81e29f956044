"""Stories of one phone, told straight to the store, with a server clock that tests can move."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import Any

import redis

from otp_service.domain.codes import CodeType
from otp_service.domain.limits import Budget, PhoneLimits
from otp_service.domain.risk import PhoneKey, PrecheckRequest, PrecheckResult
from otp_service.domain.verification import (
    CodeAttempt,
    NewVerification,
    SendDisposition,
    SendResultRecord,
    Verification,
)
from otp_service.observability.logging import LINE_FIELDS
from otp_service.store import scripts
from otp_service.store.backend import RedisBackend, ReplicationWait
from otp_service.store.verifications import RedisStore

RIGHT, WRONG = b"r" * 16, b"w" * 16
CLIENT = "shop"
LIMITS = PhoneLimits(untrusted_send_ratio=1, untrusted_failure_ratio=1)
"""Untrusted calls may use all of each limit; what is kept for trusted ones: tests/store/test_trust.py."""


class Quiet:
    """An Events port that records."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, object]]] = []

    def emit(self, event: str, **facts: object) -> None:
        assert not LINE_FIELDS & facts.keys()
        self.seen.append((event, facts))


class MovableRunner(scripts.ScriptRunner):
    """Runs the same scripts with the server's clock moved by `ahead` ms: TIME cannot be set from outside."""

    ahead = 0

    def _moved(self, name: str) -> scripts.Script:
        plain = scripts.script(name, shebang=self._shebang)
        clock = "return time[1] * 1000 + floor(time[2] / 1000)"
        assert clock in plain.source or "'TIME'" not in plain.source
        return scripts.script_from(plain.source.replace(clock, f"{clock} + ({self.ahead})"))

    def _script(self, name: str) -> scripts.Script:
        return self._moved(name) if self.ahead else super()._script(name)


@dataclass
class Phone:
    """One phone of a test and the calls a test makes about it, in the words of a story."""

    store: RedisStore
    client: redis.Redis
    runner: MovableRunner
    slot: PhoneKey
    budgets: dict[Budget, int] = field(default_factory=dict)

    def pass_time(self, seconds: float) -> None:
        self.runner.ahead += int(seconds * 1000)

    def asked_by(self, requester: bytes) -> Phone:
        return replace(self, slot=replace(self.slot, ip_hash=requester))

    def limited(self, **limits: Any) -> Phone:
        return replace(self, slot=replace(self.slot, limits=replace(self.slot.limits, **limits)))

    def open(
        self, *, settle: SendDisposition | None = SendDisposition.ACCEPTED, **changes: Any
    ) -> Verification:
        new = replace(new_verification(), **changes)
        check(self.store.precheck(self.slot, CLIENT, new.attempts, PrecheckRequest()))
        opened = self.store.create(self.slot, new, self.budgets)
        return opened if settle is None else self.settle(opened, settle) or opened

    def resend(self, opened: Verification, *, ttl: int = 300) -> Verification:
        vid = opened.verification_hash
        check(self.store.precheck_resend(self.slot, CLIENT, vid, PrecheckRequest()))
        again = self.store.reserve_resend(self.slot, CLIENT, vid, ttl, self.budgets).verification
        return self.settle(again, SendDisposition.ACCEPTED) or again

    def settle(self, opened: Verification, how: SendDisposition, **facts: Any) -> Verification | None:
        facts = {"ttl": 300, "taken_at": opened.now, **facts}
        record = SendResultRecord(opened.verification_hash, len(opened.sends), how, "main", **facts)
        kept = how in (SendDisposition.ACCEPTED, SendDisposition.UNKNOWN)
        return self.store.record_send_result(self.slot, CLIENT, record, () if kept else tuple(self.budgets))

    def submit(self, opened: Verification, digest: bytes, *, client: str = CLIENT) -> str:
        shapes = frozenset({CodeType.DIGITS, CodeType.ALNUM})
        attempt = CodeAttempt({"2026a": digest}, shapes, at=0)
        return self.store.attempt(self.slot, client, opened.verification_hash, attempt).purpose

    def read(self, opened: Verification) -> Verification:
        return self.store.read(self.slot, CLIENT, opened.verification_hash)

    def stored(self) -> list[bytes]:
        return sorted(set(self.client.scan_iter(f"otp:{{{self.slot.phone_hash}}}*", count=1000)))


def check(standing: PrecheckResult) -> None:
    """Raise why no SMS may go out, if there is a reason."""
    if standing.rejection:
        raise standing.rejection


def new_verification() -> NewVerification:
    return NewVerification(
        verification_hash=secrets.token_urlsafe(16),
        client=CLIENT,
        purpose="login",
        code_type=CodeType.DIGITS,
        kid="2026a",
        salt=b"s" * 16,
        digest=RIGHT,
        ttl=300,
        attempts=5,
        sends=4,
    )


def make_phone(
    client: redis.Redis,
    shebang: bool = True,  # noqa: FBT001, FBT002
    servers: RedisBackend | None = None,
    wait: ReplicationWait | None = None,
) -> Phone:
    """Return a phone that nothing is known of; tests look in by *client*, the store works on *servers*."""
    store = RedisStore(servers or client, Quiet(), shebang=shebang, wait=wait)
    runner = MovableRunner(servers or client, shebang=shebang, wait=wait)
    store.redis.scripts = runner
    return Phone(store, client, runner, PhoneKey(secrets.token_urlsafe(12), LIMITS))
