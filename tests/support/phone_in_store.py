"""Store calls about one phone, without the services, and with a server clock that tests can advance."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import Any

import redis
from support.events import RecordingEvents

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
from otp_service.store import scripts
from otp_service.store.backend import RedisBackend, ReplicationWait
from otp_service.store.verifications import RedisStore

RIGHT, WRONG = b"r" * 16, b"w" * 16
CLIENT = "shop"
LIMITS = PhoneLimits(untrusted_send_ratio=1, untrusted_failure_ratio=1)
"""Untrusted calls may use all of each limit. The reserve for trusted ones: tests/store/test_trust.py."""


class OffsetClockRunner(scripts.ScriptRunner):
    """Runs the scripts with `offset_ms` added to the server's time, which no Redis command can set."""

    offset_ms = 0

    def _with_offset(self, name: str) -> scripts.Script:
        original = scripts.script(name, shebang=self._shebang)
        clock = "return time[1] * 1000 + floor(time[2] / 1000)"
        assert clock in original.source or "'TIME'" not in original.source
        return scripts.script_from(original.source.replace(clock, f"{clock} + ({self.offset_ms})"))

    def _script(self, name: str) -> scripts.Script:
        return self._with_offset(name) if self.offset_ms else super()._script(name)


@dataclass
class Phone:
    """One phone, and the store calls that tests make about it."""

    store: RedisStore
    client: redis.Redis
    runner: OffsetClockRunner
    phone_key: PhoneKey
    budgets: dict[Budget, int] = field(default_factory=dict)

    def pass_time(self, seconds: float) -> None:
        self.runner.offset_ms += int(seconds * 1000)

    def from_ip(self, ip_hash: bytes) -> Phone:
        """Return the same phone for calls from another IP address."""
        return replace(self, phone_key=replace(self.phone_key, ip_hash=ip_hash))

    def with_limits(self, **limits: Any) -> Phone:
        """Return the same phone with some limits changed."""
        return replace(
            self, phone_key=replace(self.phone_key, limits=replace(self.phone_key.limits, **limits))
        )

    def open(
        self, *, result: SendDisposition | None = SendDisposition.ACCEPTED, **changes: Any
    ) -> Verification:
        """Create a verification and record the *result* of its SMS, unless that is None."""
        new = replace(new_verification(), **changes)
        raise_rejection(self.store.precheck(self.phone_key, CLIENT, new.attempts, PrecheckRequest()))
        verification = self.store.create(self.phone_key, new, self.budgets)
        return verification if result is None else self.record_result(verification, result) or verification

    def resend(self, verification: Verification, *, ttl: int = 300) -> Verification:
        """Resend the code, which the provider accepts."""
        vid = verification.verification_hash
        raise_rejection(self.store.precheck_resend(self.phone_key, CLIENT, vid, PrecheckRequest()))
        resent = self.store.reserve_resend(self.phone_key, CLIENT, vid, ttl, self.budgets).verification
        return self.record_result(resent, SendDisposition.ACCEPTED) or resent

    def record_result(
        self, verification: Verification, disposition: SendDisposition, **facts: Any
    ) -> Verification | None:
        facts = {"ttl": 300, "taken_at": verification.now, **facts}
        record = SendResultRecord(
            verification.verification_hash, len(verification.sends), disposition, "main", **facts
        )
        is_charged = disposition in (SendDisposition.ACCEPTED, SendDisposition.UNKNOWN)
        return self.store.record_send_result(
            self.phone_key, CLIENT, record, () if is_charged else tuple(self.budgets)
        )

    def submit(self, verification: Verification, digest: bytes, *, client: str = CLIENT) -> str:
        """Submit a code with this *digest*; return the purpose of the verification if it is right."""
        code_types = frozenset({CodeType.DIGITS, CodeType.ALNUM})
        attempt = CodeAttempt({"2026a": digest}, code_types, at=0)
        return self.store.attempt(self.phone_key, client, verification.verification_hash, attempt).purpose

    def read(self, verification: Verification) -> Verification:
        return self.store.read(self.phone_key, CLIENT, verification.verification_hash)

    def stored_keys(self) -> list[bytes]:
        """Return the Redis keys of this phone, sorted."""
        return sorted(set(self.client.scan_iter(f"otp:{{{self.phone_key.phone_hash}}}*", count=1000)))


def raise_rejection(precheck: PrecheckResult) -> None:
    """Raise the rejection of *precheck*, if there is one."""
    if precheck.rejection:
        raise precheck.rejection


def new_verification() -> NewVerification:
    """Return a verification with a random hash, whose right code has the digest RIGHT."""
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
    """Return a phone without state. Tests inspect Redis with *client*; the store uses *servers* if given."""
    store = RedisStore(servers or client, RecordingEvents(), shebang=shebang, wait=wait)
    runner = OffsetClockRunner(servers or client, shebang=shebang, wait=wait)
    store.redis.scripts = runner
    return Phone(store, client, runner, PhoneKey(secrets.token_urlsafe(12), LIMITS))
