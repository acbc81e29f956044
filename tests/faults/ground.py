"""The ground that faults happen on: two worker processes, a store with its relay, the sandbox as provider.

It is shared by the tests of a file, so each fault must leave a service that works, and each test its own
history, which is proven sound when the test is over.
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
from faults.keeper import Keeper, kept
from faults.relay import Relay
from sms.doubles import eventually
from support.call_history import History, Promise, Recorder, Sms, check
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

DEADLINE = 6.0
"""Seconds: `service.request_deadline`."""

READ_TIMEOUT = 1.0
"""Seconds, for Redis: a busy machine may stop a healthy one for longer than the default."""

SOON = 4.0
"""Seconds: connecting and reading may take one each, a busy machine the rest."""

WORKERS = 2

PATIENCE = 20.0
"""Seconds until a service must have recovered; it needs fractions of one, a busy machine more."""


@dataclass
class Ground:
    """A running service, and everything under it that can break. *shop* makes the calls of one test."""

    service: Deployment
    keeper: Keeper
    relay: Relay
    history: History = field(default_factory=History)
    promise: Promise = field(default_factory=Promise)
    log_from: int = 0
    workers_before: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin a history of its own for the next test."""
        hidden = {*vars(self.service.secrets).values(), ACCESS_KEY_SECRET}
        self.history = History(hash_of=self.service.verification_hash, hidden=hidden)
        self.promise = Promise()
        self.shop = Recorder(self.service.post, self.history)
        self.log_from = self.service.log.stat().st_size if self.service.log.is_file() else 0
        assert eventually(lambda: len(workers(self.service)) == WORKERS, 10)
        self.workers_before = set(workers(self.service))

    def end(self) -> None:
        """Heal everything, see that the same processes work again, and prove the history sound."""
        self.relay.be_honest()
        self.keeper.thaw()
        self.is_well()
        self.history.sms = self.sms()
        self.history.log = self.log()
        defects = [line for line in self.log().splitlines() if '"unhandled_exception"' in line]
        assert not defects, defects[0]
        check(self.history, self.promise)
        slow = [c for c in self.history.calls if c.ended - c.began > DEADLINE]
        assert slow == [], "answered after the deadline"
        assert set(workers(self.service)) == self.workers_before, "recovery needed a restart"

    def is_well(self) -> None:
        """Wait until whole verifications go through: each ended connection may cost one call."""
        assert eventually(lambda: is_ready(self.service), PATIENCE), self.log()[-2000:]
        assert eventually(lambda: all(self._serves() for _ in range(3)), PATIENCE), self.log()[-2000:]

    def _serves(self) -> bool:
        phone = new_phone()
        sent = self.shop.request(phone)
        if sent.status != 201:
            return False
        approved = self.approve(phone, sent.body["verification_id"])
        return approved.status == 200 and self.shop.redeem(approved.body["proof"]).status == 200

    # ── calls ──

    def open(self, phone: str) -> str:
        """Request a code that must be granted, and return the id of the verification."""
        answer = self.shop.request(phone)
        assert answer.status == 201, answer.text + self.log()[-2000:]
        return str(answer.body["verification_id"])

    def approve(self, phone: str, opened: str) -> Answer:
        return self.shop.verify(phone, opened, self.code(phone))

    def all_calls(self, phone: str, opened: str, proof: str) -> list[Answer]:
        """Make each of the calls that need the store, all at once."""
        return at_once(
            [
                lambda: self.shop.request(new_phone()),
                lambda: self.shop.resend(phone, opened),
                lambda: self.shop.verify(phone, opened, "000000"),
                lambda: self.shop.status(phone, opened),
                lambda: self.shop.redeem(proof),
                lambda: self.shop.cancel(phone, opened),
            ]
        )

    def earn_proof(self) -> str:
        phone = new_phone()
        return str(self.approve(phone, self.open(phone)).body["proof"])

    # ── behind the service's back ──

    def sms(self, phone: str = "") -> list[Sms]:
        """Return the SMS to *phone*, or to every phone of this test, the oldest first."""
        ours = {str(call.body.get("phone")) for call in self.history.calls}
        found = [Sms.read(message) for message in reversed(self.service.inbox(phone))]
        return [sms for sms in found if sms.phone in ours]

    def code(self, phone: str) -> str:
        return self.service.code(phone)

    def budget(self) -> int:
        """Return how many SMS the service's budget has counted today."""
        with self.keeper.client() as client:
            stored = client.get("otp:budget:{sms}:service") or b"0 0"
        return int(stored.split()[1])

    def everything(self) -> dict[bytes, bytes]:
        """Return what the store holds of verifications and phones."""
        with self.keeper.client() as client:
            return {key: client.get(key) or b"" for key in client.scan_iter("otp:{*")}

    def connections(self) -> int:
        """Count the connections to the store, our own left out."""
        with self.keeper.client() as client:
            return len(client.client_list()) - 1

    def log(self) -> str:
        if not self.service.log.is_file():
            return ""
        with self.service.log.open("rb") as log:
            log.seek(self.log_from)
            return log.read().decode()


@contextmanager
def prepared(
    *options: str, url: str = "redis://127.0.0.1:{port}/0", change: Callable[[str], str] = lambda text: text
) -> Iterator[Ground]:
    """Run a ground until the block ends; *options* are the store's, *url* is its address."""
    with ExitStack() as stack:
        keeper = stack.enter_context(kept(redis_binary(), *options))
        relay = stack.enter_context(Relay(keeper.port))
        yield stack.enter_context(standing_on(keeper, relay, url.format(port=relay.port), change))


@contextmanager
def standing_on(
    keeper: Keeper, relay: Relay, url: str, change: Callable[[str], str] = lambda text: text, **more: Any
) -> Iterator[Ground]:
    """Run a service on a store that is there already."""
    directory = keeper.directory / "service"
    directory.mkdir()
    patient = f"[redis]\nconnect_timeout = {READ_TIMEOUT}\nread_timeout = {READ_TIMEOUT}"

    def changed(text: str) -> str:
        return change(text.replace("[redis]", patient).replace(keeper.url, url))

    with running_service(keeper.server, directory, change=changed, **more) as service:
        yield Ground(service, keeper, relay)


def is_ready(service: Deployment) -> bool:
    try:
        return service.get("/readyz").status == 200
    except (OSError, HTTPException):
        return False


def is_refused_for_now(answer: Answer, code: str = "store_unavailable") -> bool:
    """Whether *answer* is the 503 that a broken store is told by."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return (
        answer.status == 503
        and answer.body["code"] == code
        and headers["content-type"] == "application/problem+json"
        and 1 <= int(headers["retry-after"]) <= 5
    )


@contextmanager
def in_the_background(*works: Callable[[], object]) -> Iterator[None]:
    """Do *works* over and over while the block runs."""
    over = threading.Event()

    def run(work: Callable[[], object]) -> None:
        while not over.is_set():
            work()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def seconds(call: Callable[[], object]) -> float:
    """Return how long *call* takes."""
    began = time.monotonic()
    call()
    return time.monotonic() - began


@contextmanager
def configured(keeper: Keeper, **settings: object) -> Iterator[redis.Redis]:
    """Change *settings* of the server until the block ends, on a connection that is there already."""
    with keeper.client() as client:
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


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
