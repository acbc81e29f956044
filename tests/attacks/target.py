"""The target of the attacks: two worker processes with their own Redis, the sandbox, and a shared clock.

Tests check the effects outside of the service: SMS in the sandbox's inbox, phone states and verifications in
Redis.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from support.call_history import ExpectedLimits, History, Recorder, Sms, check
from support.deployment import (
    ACCESS_KEY_ID,
    ACCESS_KEY_SECRET,
    Answer,
    Deployment,
    at_once,
    new_phone,
    post,
    running_service,
)
from support.redis_servers import Server, redis_binary, running

from otp_service.domain.clients import key_digest
from otp_service.domain.crypto import Keyring
from otp_service.sandbox.config import SandboxConfig
from otp_service.sandbox.server import start_sandbox
from otp_service.settings import load

__all__ = ["Answer", "Target", "at_once", "in_parallel", "new_phone", "running_target", "wrong_codes"]

ORIGIN = "https://shop.example"
PUBLISHABLE_KEY = f"pk_{secrets.token_urlsafe(32)}"

MOVED = Path(__file__).parent / "moved"
CLIENTS = ("shop", "bank", "forum")
PURPOSES = ("login", "signup")


@dataclass(frozen=True, slots=True)
class PhoneState:
    """The state of one phone in Redis (see `store/lua/phone_state.lua`)."""

    consecutive_failures: int = 0
    sends: int = 0
    failures: int = 0
    live: int = 0
    known: bool = False

    @classmethod
    def read(cls, packed: bytes | None) -> PhoneState:
        if not packed:
            return cls()
        untrusted, trusted = packed[1:3]
        sends, failures, live = packed[13:16]
        return cls(untrusted + trusted, sends, failures, live, known=any(packed[3:7]))


@dataclass
class Target:
    """A running service under attack. `shop`, `bank` and `forum` are its clients; calls use shop's key."""

    deployment: Deployment
    keyring: Keyring
    clock_offset: Path
    history: History
    clients: dict[str, Recorder] = field(default_factory=dict)

    @property
    def shop(self) -> Recorder:
        return self.clients["shop"]

    @property
    def redis(self) -> Server:
        return self.deployment.redis

    def now(self) -> float:
        return time.time() + int(self.clock_offset.read_text()) / 1000

    def pass_time(self, seconds: float) -> None:
        new_offset = self.clock_offset.with_suffix(".new")
        new_offset.write_text(str(int(self.clock_offset.read_text()) + int(seconds * 1000)))
        new_offset.replace(self.clock_offset)  # atomically, because other processes read it

    def sms(self, phone: str = "") -> list[Sms]:
        """Return the SMS to *phone*, or all SMS, the oldest first."""
        return [Sms.read(message) for message in reversed(self.deployment.inbox(phone))]

    def code(self, phone: str) -> str:
        return self.deployment.code(phone)

    def open(self, phone: str, client: str = "shop", **more: object) -> str:
        """Request a code, which must succeed, and return the verification id."""
        answer = self.clients[client].request(phone, **more)  # type: ignore[arg-type]
        assert answer.status == 201, answer.text + self.log()[-2000:]
        return str(answer.body["verification_id"])

    def phone_state(self, phone: str) -> PhoneState:
        with self.redis.client() as client:
            return PhoneState.read(client.get(self.phone_key(phone)))

    def phone_key(self, phone: str) -> str:
        return f"otp:{{{self.keyring.phone_hash(phone)}}}"

    def record(self, phone: str, verification_id: str) -> bytes:
        """Return the stored bytes of a verification; empty if it does not exist."""
        with self.redis.client() as client:
            return client.get(f"{self.phone_key(phone)}:{self.hash_of(verification_id)}") or b""

    def hash_of(self, verification_id: str) -> str:
        """Return the keyed hash of a verification id, as Redis, the logs and the provider get it."""
        return self.keyring.verification_hash(verification_id)

    def log(self) -> str:
        return self.deployment.log.read_text()


def wrong_codes(right: str, count: int) -> list[str]:
    """Return *count* six-digit codes other than the *right* one."""
    codes = (f"{number:06d}" for number in range(100_000, 100_001 + count))
    return [code for code in codes if code != right][:count]


def in_parallel(calls: Sequence[Callable[[], Answer]], threads: int = 16) -> list[Answer]:
    """Make all *calls*, with *threads* of them at a time."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda call: call(), calls))


@contextmanager
def running_target(
    *,
    change: Callable[[str], str] = lambda text: text,
    redis_options: Sequence[str] = (),
    movable: bool = False,
    limits: ExpectedLimits | None = None,
    provider_url: str = "",
) -> Iterator[Target]:
    """Run a target until the block ends, then check the history of all calls.

    *change* edits its configuration; only the clock of a *movable* target can be moved.
    """
    keys = {client: f"sk_{secrets.token_urlsafe(32)}" for client in CLIENTS[1:]}
    with tempfile.TemporaryDirectory(prefix="otp-attack-") as name:
        directory = Path(name)
        clock_offset = directory / "ahead"
        clock_offset.write_text("0")
        clock = lambda: datetime.now(UTC) + timedelta(milliseconds=int(clock_offset.read_text()))  # noqa: E731
        account = replace(SandboxConfig.default({ACCESS_KEY_ID: ACCESS_KEY_SECRET}), inbox_size=20_000)
        with (
            running(redis_binary(), *redis_options) as server,
            start_sandbox(account, clock=clock) as sandbox,
            ExitStack() as stack,
        ):
            service = running_service(
                server,
                directory,
                change=lambda text: change(with_clients(text, keys)),
                sandbox_url=provider_url or sandbox.url,
            )
            with clock_of_children(clock_offset if movable else None):
                deployment = stack.enter_context(service)
            deployment.sandbox = sandbox
            keyring = load(directory / "config.toml", {}).keyring()
            target = Target(deployment, keyring, clock_offset, History(hash_of=keyring.verification_hash))
            keys["shop"] = deployment.secrets.secret_key
            target.clients = {
                client: Recorder(caller(deployment.url, key), target.history, client, target.now)
                for client, key in keys.items()
            }
            target.history.hidden = {*keys.values(), *vars(deployment.secrets).values(), ACCESS_KEY_SECRET}
            yield target
            target.history.sms = target.sms()
        target.history.log = target.log()
        check(target.history, limits)


@contextmanager
def clock_of_children(clock_offset: Path | None) -> Iterator[None]:
    """Shift the clock of all processes started in this block by the offset in a file (milliseconds)."""
    with pytest.MonkeyPatch.context() as patch:
        if clock_offset:
            patch.setenv("OTP_TEST_AHEAD", str(clock_offset))
            patch.setenv("PYTHONPATH", os.pathsep.join([str(MOVED), *sys.path]))
        yield


def caller(url: str, key: str) -> Callable[..., Answer]:
    """Return a function that posts a body to a path of *url* with *key*."""

    def post_with_key(path: str, body: object, **headers: str) -> Answer:
        all_headers = {"Authorization": f"Bearer {key}"} | {
            n.replace("_", "-"): v for n, v in headers.items()
        }
        return post(f"{url}{path}", body, **all_headers)

    return post_with_key


def with_clients(text: str, keys: dict[str, str]) -> str:
    """Return the configuration with one more client for each of *keys*."""
    tables = "".join(
        f'[clients.{client}]\nsecret_key_digests = ["{key_digest(key)}"]\n'
        f'proof_keys = ["{secrets.token_urlsafe(32)}"]\nsms_per_day = 90000\n'
        for client, key in keys.items()
    )
    return text.replace("[[routes]]", f"{tables}[[routes]]", 1)


def with_browser(text: str) -> str:
    """Return the configuration with a publishable key for shop's pages."""
    table = f'[clients.shop]\npublishable_key = "{PUBLISHABLE_KEY}"\norigins = ["{ORIGIN}"]\n'
    return text.replace("[clients.shop]\n", table, 1)


def browser(target: Target) -> Recorder:
    """Return a Recorder with shop's publishable key. Each call must pass the origin of the page."""
    return Recorder(caller(target.deployment.url, PUBLISHABLE_KEY), target.history, "shop", target.now)


def all_values(client: redis.Redis) -> dict[bytes, bytes]:
    """Return all Redis keys with their values."""
    values: dict[bytes, bytes] = {key: client.get(key) or b"" for key in client.scan_iter()}
    return values
