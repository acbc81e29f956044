"""The soak test: mixed traffic, a fault every few seconds, and a history without violations at the end.

Everything random comes from one seed, which is printed if the test fails.
"""

from __future__ import annotations

import os
import random  # noqa: TID251 - the same seed repeats the run
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http.client import HTTPException
from pathlib import Path

from faults import provider_proxy
from faults.harness import Harness, is_alive, running_on
from faults.provider_proxy import Behavior, ProviderProxy
from faults.redis_process import running_redis
from faults.relay import Relay
from support.deployment import Answer, new_phone, workers
from support.redis_servers import redis_binary
from support.waiting import eventually

USER_THREADS = 8

WARM_UP = 8.0
"""Seconds of traffic without a fault before memory and connections are measured."""

LOG = ("--appendonly", "yes", "--appendfsync", "no", "--auto-aof-rewrite-percentage", "0")
"""A killed server keeps everything that it has acknowledged."""

INBOX = 200_000

COOLDOWN = 61.0
"""Seconds until a resend is allowed; only a soak of several minutes has many resends."""


@dataclass
class Size:
    """Memory and open files of the oldest worker, and the number of connections to the store."""

    memory: int
    files: int
    connections: int


@dataclass
class SoakRun:
    """A harness whose provider may fail too, and its users."""

    harness: Harness
    proxy: ProviderProxy
    seed: int
    oldest: int
    faults: Counter[str] = field(default_factory=Counter)
    resent: int = 0
    unexpected: list[str] = field(default_factory=list)

    def run(self, seconds: float) -> tuple[Size, Size]:
        """Run for *seconds*; return the sizes before the first fault and after the last."""
        over = threading.Event()
        threads = [
            threading.Thread(target=self.run_users, args=(self.random_for(str(number)), over))
            for number in range(USER_THREADS)
        ]
        threads.append(threading.Thread(target=self.run_patient_users, args=(over,)))
        for thread in threads:
            thread.start()
        try:
            time.sleep(min(WARM_UP, seconds / 4))
            before = self.size()
            self.inject_faults(self.random_for("faults"), time.monotonic() + seconds - WARM_UP)
        finally:
            over.set()
            for thread in threads:
                thread.join()
        self.clear_faults_everywhere()
        self.harness.wait_until_healthy()
        return before, self.size()

    def random_for(self, user: str) -> random.Random:
        """Return a random generator for *user*, the same in each run with this seed."""
        return random.Random(f"{self.seed}:{user}")  # noqa: S311 - must be repeatable

    def size(self) -> Size:
        status = Path(f"/proc/{self.oldest}/status").read_text()
        kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        files = len(list(Path(f"/proc/{self.oldest}/fd").iterdir()))
        return Size(kib, files, self.harness.connections())

    # ── users ──

    def run_users(self, rng: random.Random, over: threading.Event) -> None:
        """Act as one user after the other."""
        while not over.is_set():
            try:
                self.run_user(rng)
            except (OSError, HTTPException):
                time.sleep(0.05)  # the worker of this connection died
            time.sleep(rng.uniform(0.1, 0.4))

    def run_patient_users(self, over: threading.Event) -> None:
        """Act as users who wait until the cooldown ends and request the code again."""
        while not over.is_set():
            phone = new_phone()
            try:
                sent = self.harness.shop.request(phone)
                if over.wait(COOLDOWN if sent.status in (201, 202) else 0.5) or sent.status >= 300:
                    continue
                again = self.harness.shop.resend(phone, sent.body["verification_id"])
                self.resent += again.status in (200, 201, 202)
                if inbox := self.harness.service.inbox(phone):
                    self.harness.shop.verify(phone, sent.body["verification_id"], str(inbox[0]["code"]))
            except (OSError, HTTPException):
                over.wait(0.05)

    def run_user(self, rng: random.Random) -> None:
        """Request a code and use it as users do."""
        shop, phone = self.harness.shop, new_phone()
        sent = self.call_with_retries(rng, "/otp/request", {"phone": phone, "purpose": "login"})
        if sent.status not in (201, 202):
            return
        verification_id = str(sent.body["verification_id"])
        for _ in range(rng.choice([0, 0, 1, 2])):
            shop.verify(phone, verification_id, f"{rng.randrange(10**6):06d}")
        end = rng.random()
        if end < 0.1:
            shop.resend(phone, verification_id)
        if end > 0.85:
            shop.cancel(phone, verification_id)
        if rng.random() < 0.3:
            shop.status(phone, verification_id)
        if inbox := self.harness.service.inbox(phone):
            body = {"phone": phone, "verification_id": verification_id, "code": str(inbox[0]["code"])}
            approved = self.call_with_retries(rng, "/otp/verify", body)
            if approved.status == 200:
                self.use(rng, approved.body["proof"])

    def use(self, rng: random.Random, proof: str) -> None:
        """Redeem a proof, sometimes twice."""
        self.call_with_retries(rng, "/otp/redeem", {"proof": proof, "purpose": "login"})
        if rng.random() < 0.3:
            self.harness.shop.redeem(proof)

    def call_with_retries(self, rng: random.Random, path: str, body: Mapping[str, str]) -> Answer:
        """Make a call with an idempotency key, and repeat it while its outcome is unknown."""
        key = {"Idempotency-Key": f"{rng.getrandbits(96):024x}"} if rng.random() < 0.7 else {}
        for _ in range(3 if key else 1):
            answer = self.harness.shop.call(path, body, **key)
            if answer.status < 500 and answer.status != 409:
                break
            time.sleep(rng.uniform(0.05, 0.3))
        return answer

    # ── faults ──

    def inject_faults(self, rng: random.Random, until: float) -> None:
        """Inject a fault, clear it and wait a little, until the time *until*."""
        faults = [
            *(
                partial(self.relay_fault, name)
                for name in ("reset", "freeze", "delay", "slice", "lost reply")
            ),
            self.store_stopped,
            self.store_paused,
            self.store_killed,
            self.scripts_flushed,
            self.worker_killed,
            *(partial(self.provider_fault, name, behavior) for name, behavior in PROVIDER_FAULTS.items()),
        ]
        waiting: list[Callable[[random.Random], None]] = []
        while time.monotonic() < until:
            if not waiting:  # each fault occurs once before any is repeated
                waiting = rng.sample(faults, len(faults))
            waiting.pop()(rng)
            self.clear_faults_everywhere()
            time.sleep(rng.uniform(0.5, 2.0))

    def clear_faults_everywhere(self) -> None:
        self.harness.relay.clear_faults()
        self.harness.redis_process.thaw()
        self.proxy.behavior = provider_proxy.pass_through

    def relay_fault(self, name: str, rng: random.Random) -> None:
        self.faults[f"store: {name}"] += 1
        relay = self.harness.relay
        if name == "reset":
            relay.resets_after = rng.randrange(5)
        elif name == "freeze":
            relay.freeze()
        elif name == "delay":
            relay.delay = rng.choice([0.1, 0.7])
        elif name == "slice":
            relay.slice = rng.randrange(1, 9)
        else:
            relay.lose_reply_to(
                rng.choice(["precheck", "create", "record_result", "attempt", "redeem", "budget_take"])
            )
        time.sleep(rng.uniform(0.3, 1.5))

    def store_stopped(self, rng: random.Random) -> None:
        self.faults["store: stopped"] += 1
        self.harness.redis_process.freeze()
        time.sleep(rng.uniform(0.2, 1.5))

    def store_paused(self, rng: random.Random) -> None:
        self.faults["store: paused"] += 1
        with self.harness.redis_process.client() as client:
            client.client_pause(rng.randrange(200, 1_000), all=rng.random() < 0.5)
        time.sleep(1.0)

    def store_killed(self, rng: random.Random) -> None:
        self.faults["store: killed"] += 1
        self.harness.redis_process.kill()
        time.sleep(rng.uniform(0.1, 1.0))
        self.harness.redis_process.start()

    def scripts_flushed(self, rng: random.Random) -> None:
        self.faults["store: scripts flushed"] += 1
        with self.harness.redis_process.client() as client:
            for _ in range(rng.randrange(1, 50)):
                client.script_flush()
                time.sleep(0.01)

    def worker_killed(self, rng: random.Random) -> None:
        """Kill the newer worker: the memory of the oldest is measured."""
        self.faults["worker: killed"] += 1
        newer = [pid for pid in workers(self.harness.service) if pid != self.oldest]
        for pid in newer:
            os.kill(pid, signal.SIGKILL)
        if not eventually(lambda: self.has_new_worker(set(newer)), 20):
            self.unexpected.append("a killed worker was not replaced")

    def has_new_worker(self, old: set[int]) -> bool:
        time.sleep(0.1)
        return len(set(workers(self.harness.service)) - old) == 2

    def provider_fault(self, name: str, behavior: Behavior, rng: random.Random) -> None:
        self.faults[f"provider: {name}"] += 1
        self.proxy.behavior = behavior
        time.sleep(rng.uniform(0.3, 1.0))


def slow(exchange: provider_proxy.Exchange) -> None:
    """The provider answers after a delay."""
    time.sleep(0.5)
    provider_proxy.pass_through(exchange)


PROVIDER_FAULTS: dict[str, Behavior] = {
    "slow": slow,
    "reset": provider_proxy.reset_at_once,
    "torn": provider_proxy.reset_during_answer,
    "half an answer": provider_proxy.truncate_answer,
}


def without_alarm(text: str) -> str:
    """Raise the alarm's thresholds: the wrong codes of ten minutes would otherwise cause challenges."""
    text = text.replace(
        "[log]", "[global_failures]\nmin_failures = 1_000_000\nsevere_min_failures = 10_000_000\n[log]"
    )
    return text.replace('level = "debug"', 'level = "warning"')


@contextmanager
def running_soak(seed: int) -> Iterator[SoakRun]:
    """Run everything that a soak test needs until the block ends."""
    with ExitStack() as stack:
        redis_process = stack.enter_context(running_redis(redis_binary(), *LOG))
        relay = stack.enter_context(Relay(redis_process.port))
        proxy = stack.enter_context(ProviderProxy())
        harness = stack.enter_context(
            running_on(
                redis_process,
                relay,
                f"redis://127.0.0.1:{relay.port}/0",
                sandbox_url=proxy.url,
                sandbox_config=lambda config, _: replace(config, inbox_size=INBOX),
                change=without_alarm,
            )
        )
        proxy.provider_port = harness.service.sandbox.port
        oldest = workers(harness.service)[0]
        yield SoakRun(harness, proxy, seed, oldest)
        assert is_alive(oldest)
