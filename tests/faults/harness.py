"""The harness of the fault tests: two worker processes, Redis behind a relay, and the sandbox as provider.

The tests of a file share it, so the service must work again after each fault. Each test has its own history,
which is checked at the end of the test.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

import redis
from faults.redis_process import RedisProcess, running_redis
from faults.relay import Relay
from support.call_history import ExpectedLimits, History, Recorder, Sms, check
from support.deployment import (
    ACCESS_KEY_SECRET,
    Answer,
    Deployment,
    at_once,
    new_phone,
    running_service,
    workers,
)
from support.redis_servers import redis_binary
from support.waiting import eventually

DEADLINE = 6.0
"""Seconds: `service.request_deadline`."""

READ_TIMEOUT = 1.0
"""Seconds, for Redis; more than the default, because a busy machine may delay a healthy server."""

SOON = 4.0
"""Seconds in which a call with a broken store must end: two time-outs of one second, and some reserve."""

WORKERS = 2

RECOVERY_TIMEOUT = 20.0
"""Seconds in which the service must recover; usually it takes less than one."""


@dataclass
class Harness:
    """A running service and all parts that can fail. *shop* makes and records the calls of one test."""

    service: Deployment
    redis_process: RedisProcess
    relay: Relay
    history: History = field(default_factory=History)
    limits: ExpectedLimits = field(default_factory=ExpectedLimits)
    log_from: int = 0
    workers_before: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin a new history for the next test."""
        hidden = {*vars(self.service.secrets).values(), ACCESS_KEY_SECRET}
        self.history = History(hash_of=self.service.verification_hash, hidden=hidden)
        self.limits = ExpectedLimits()
        self.shop = Recorder(self.service.post, self.history)
        self.log_from = self.service.log.stat().st_size if self.service.log.is_file() else 0
        assert eventually(lambda: len(workers(self.service)) == WORKERS, 10)
        self.workers_before = set(workers(self.service))

    def end(self) -> None:
        """Clear all faults, check that the same processes work again, and check the history."""
        self.relay.clear_faults()
        self.redis_process.thaw()
        self.wait_until_healthy()
        self.history.sms = self.sms()
        self.history.log = self.log()
        defects = [line for line in self.log().splitlines() if '"unhandled_exception"' in line]
        assert not defects, defects[0]
        check(self.history, self.limits)
        slow = [c for c in self.history.calls if c.ended - c.began > DEADLINE]
        assert slow == [], "answered after the deadline"
        assert set(workers(self.service)) == self.workers_before, "recovery needed a restart"

    def wait_until_healthy(self) -> None:
        """Wait until three verifications in a row succeed: each closed connection may make one call fail."""
        assert eventually(lambda: is_ready(self.service), RECOVERY_TIMEOUT), self.log()[-2000:]
        assert eventually(lambda: all(self._can_verify() for _ in range(3)), RECOVERY_TIMEOUT), self.log()[
            -2000:
        ]

    def _can_verify(self) -> bool:
        phone = new_phone()
        sent = self.shop.request(phone)
        if sent.status != 201:
            return False
        approved = self.approve(phone, sent.body["verification_id"])
        return approved.status == 200 and self.shop.redeem(approved.body["proof"]).status == 200

    # ── calls ──

    def open(self, phone: str) -> str:
        """Request a code, which must succeed, and return the verification id."""
        answer = self.shop.request(phone)
        assert answer.status == 201, answer.text + self.log()[-2000:]
        return str(answer.body["verification_id"])

    def approve(self, phone: str, verification_id: str) -> Answer:
        return self.shop.verify(phone, verification_id, self.code(phone))

    def all_calls(self, phone: str, verification_id: str, proof: str) -> list[Answer]:
        """Make each call that needs the store, all at the same time."""
        return at_once(
            [
                lambda: self.shop.request(new_phone()),
                lambda: self.shop.resend(phone, verification_id),
                lambda: self.shop.verify(phone, verification_id, "000000"),
                lambda: self.shop.status(phone, verification_id),
                lambda: self.shop.redeem(proof),
                lambda: self.shop.cancel(phone, verification_id),
            ]
        )

    def earn_proof(self) -> str:
        phone = new_phone()
        return str(self.approve(phone, self.open(phone)).body["proof"])

    # ── state of the sandbox, Redis and the log ──

    def sms(self, phone: str = "") -> list[Sms]:
        """Return the SMS to *phone*, or to every phone of this test, the oldest first."""
        own_phones = {str(call.body.get("phone")) for call in self.history.calls}
        messages = [Sms.read(message) for message in reversed(self.service.inbox(phone))]
        return [sms for sms in messages if sms.phone in own_phones]

    def code(self, phone: str) -> str:
        return self.service.code(phone)

    def budget(self) -> int:
        """Return the number of SMS that today's budget of the service has counted."""
        with self.redis_process.client() as client:
            stored = client.get("otp:budget:{sms}:service") or b"0 0"
        return int(stored.split()[1])

    def stored_values(self) -> dict[bytes, bytes]:
        """Return the stored keys of verifications and phones with their values."""
        with self.redis_process.client() as client:
            return {key: client.get(key) or b"" for key in client.scan_iter("otp:{*")}

    def connections(self) -> int:
        """Return the number of connections to the store, except the test's own."""
        with self.redis_process.client() as client:
            return len(client.client_list()) - 1

    def log(self) -> str:
        if not self.service.log.is_file():
            return ""
        with self.service.log.open("rb") as log:
            log.seek(self.log_from)
            return log.read().decode()


@contextmanager
def running_harness(
    *options: str, url: str = "redis://127.0.0.1:{port}/0", change: Callable[[str], str] = lambda text: text
) -> Iterator[Harness]:
    """Run a harness until the block ends. *options* are for Redis; `{port}` in *url* is that of the relay."""
    with ExitStack() as stack:
        redis_process = stack.enter_context(running_redis(redis_binary(), *options))
        relay = stack.enter_context(Relay(redis_process.port))
        yield stack.enter_context(running_on(redis_process, relay, url.format(port=relay.port), change))


@contextmanager
def running_on(
    redis_process: RedisProcess,
    relay: Relay,
    url: str,
    change: Callable[[str], str] = lambda text: text,
    **more: Any,
) -> Iterator[Harness]:
    """Run a service on a running Redis until the block ends."""
    directory = redis_process.directory / "service"
    directory.mkdir()
    timeouts = f"[redis]\nconnect_timeout = {READ_TIMEOUT}\nread_timeout = {READ_TIMEOUT}"

    def changed(text: str) -> str:
        return change(text.replace("[redis]", timeouts).replace(redis_process.url, url))

    with running_service(redis_process.server, directory, change=changed, **more) as service:
        yield Harness(service, redis_process, relay)


def is_ready(service: Deployment) -> bool:
    try:
        return service.get("/readyz").status == 200
    except (OSError, HTTPException):
        return False


def is_refused_for_now(answer: Answer, code: str = "store_unavailable") -> bool:
    """Return whether *answer* is the 503 for an unavailable store."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return (
        answer.status == 503
        and answer.body["code"] == code
        and headers["content-type"] == "application/problem+json"
        and 1 <= int(headers["retry-after"]) <= 5
    )


@contextmanager
def repeat_in_background(*calls: Callable[[], object]) -> Iterator[None]:
    """Make each of *calls* repeatedly, each in its own thread, while the block runs."""
    over = threading.Event()

    def repeat(call: Callable[[], object]) -> None:
        while not over.is_set():
            call()

    threads = [threading.Thread(target=repeat, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def duration(call: Callable[[], object]) -> float:
    """Make *call* and return how many seconds it takes."""
    began = time.monotonic()
    call()
    return time.monotonic() - began


@contextmanager
def configured(redis_process: RedisProcess, **settings: object) -> Iterator[redis.Redis]:
    """Change *settings* of Redis until the block ends, through a connection that exists before the change."""
    with redis_process.client() as client:
        names = {name.replace("_", "-"): value for name, value in settings.items()}
        before = {name: client.config_get(name)[name] for name in names}
        try:
            for name, value in names.items():
                client.config_set(name, value)
            yield client
        finally:
            for name, value in before.items():
                client.config_set(name, value)


def statuses(answers: Sequence[Answer]) -> set[int]:
    return {answer.status for answer in answers}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
