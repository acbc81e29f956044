"""The soak: mixed traffic, a fault every few seconds, and nothing unsound at the end.

Everything that happens by chance is drawn from one seed, which is printed when something was wrong.
"""

from __future__ import annotations

import os
import random  # noqa: TID251 - the same seed tells the same story
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

from faults import proxy as treatments
from faults.ground import Ground, alive, standing_on
from faults.keeper import kept
from faults.proxy import Proxy, Treat
from faults.relay import Relay
from sms.doubles import eventually
from support.deployment import Answer, new_phone, workers
from support.redis_servers import redis_binary

HANDS = 8
"""People at a time."""

WARM_UP = 8.0
"""Seconds of traffic without a fault, after which memory and connections are first looked at."""

LOG = ("--appendonly", "yes", "--appendfsync", "no", "--auto-aof-rewrite-percentage", "0")
"""A killed server has forgotten nothing that it had answered."""

INBOX = 200_000

COOLDOWN = 61.0
"""Seconds until a resend may be sent; only a soak of some minutes sees many."""


@dataclass
class Size:
    """What the eldest worker holds, and how many connections the store has."""

    memory: int
    files: int
    connections: int


@dataclass
class Soak:
    """A ground with a provider that may fail too, and the people on it."""

    ground: Ground
    proxy: Proxy
    seed: int
    eldest: int
    faults: Counter[str] = field(default_factory=Counter)
    resent: int = 0
    unexpected: list[str] = field(default_factory=list)

    def run(self, seconds: float) -> tuple[Size, Size]:
        """Live for so long, and return the sizes before the first fault and after the last."""
        over = threading.Event()
        hands = [
            threading.Thread(target=self.live, args=(self.dice(str(hand)), over)) for hand in range(HANDS)
        ]
        hands.append(threading.Thread(target=self.be_patient, args=(over,)))
        for hand in hands:
            hand.start()
        try:
            time.sleep(min(WARM_UP, seconds / 4))
            before = self.size()
            self.rage(self.dice("faults"), time.monotonic() + seconds - WARM_UP)
        finally:
            over.set()
            for hand in hands:
                hand.join()
        self.heal()
        self.ground.is_well()
        return before, self.size()

    def dice(self, whose: str) -> random.Random:
        return random.Random(f"{self.seed}:{whose}")  # noqa: S311 - chance that must be told again

    def size(self) -> Size:
        status = Path(f"/proc/{self.eldest}/status").read_text()
        kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        files = len(list(Path(f"/proc/{self.eldest}/fd").iterdir()))
        return Size(kib, files, self.ground.connections())

    # ── people ──

    def live(self, chance: random.Random, over: threading.Event) -> None:
        """Be one person after the other."""
        while not over.is_set():
            try:
                self.story(chance)
            except (OSError, HTTPException):
                time.sleep(0.05)  # the worker died that we spoke to
            time.sleep(chance.uniform(0.1, 0.4))

    def be_patient(self, over: threading.Event) -> None:
        """Be those who wait for their cooldown to end and have the code sent once more."""
        while not over.is_set():
            phone = new_phone()
            try:
                sent = self.ground.shop.request(phone)
                if over.wait(COOLDOWN if sent.status in (201, 202) else 0.5) or sent.status >= 300:
                    continue
                again = self.ground.shop.resend(phone, sent.body["verification_id"])
                self.resent += again.status in (200, 201, 202)
                if inbox := self.ground.service.inbox(phone):
                    self.ground.shop.verify(phone, sent.body["verification_id"], str(inbox[0]["code"]))
            except (OSError, HTTPException):
                over.wait(0.05)

    def story(self, chance: random.Random) -> None:
        """Ask for a code, and do with it what people do."""
        shop, phone = self.ground.shop, new_phone()
        sent = self.insist(chance, "/otp/request", {"phone": phone, "purpose": "login"})
        if sent.status not in (201, 202):
            return
        opened = str(sent.body["verification_id"])
        for _ in range(chance.choice([0, 0, 1, 2])):
            shop.verify(phone, opened, f"{chance.randrange(10**6):06d}")
        end = chance.random()
        if end < 0.1:
            shop.resend(phone, opened)
        if end > 0.85:
            shop.cancel(phone, opened)
        if chance.random() < 0.3:
            shop.status(phone, opened)
        if inbox := self.ground.service.inbox(phone):
            body = {"phone": phone, "verification_id": opened, "code": str(inbox[0]["code"])}
            approved = self.insist(chance, "/otp/verify", body)
            if approved.status == 200:
                self.use(chance, approved.body["proof"])

    def use(self, chance: random.Random, proof: str) -> None:
        """Redeem a proof, and now and then once more."""
        self.insist(chance, "/otp/redeem", {"proof": proof, "purpose": "login"})
        if chance.random() < 0.3:
            self.ground.shop.redeem(proof)

    def insist(self, chance: random.Random, path: str, body: Mapping[str, str]) -> Answer:
        """Make a call as a careful backend does: under a key, again while nobody knows how it ended."""
        key = {"Idempotency-Key": f"{chance.getrandbits(96):024x}"} if chance.random() < 0.7 else {}
        for _ in range(3 if key else 1):
            answer = self.ground.shop.call(path, body, **key)
            if answer.status < 500 and answer.status != 409:
                break
            time.sleep(chance.uniform(0.05, 0.3))
        return answer

    # ── faults ──

    def rage(self, chance: random.Random, until: float) -> None:
        """Break something, mend it, and wait a little, until the time is over."""
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
            *(partial(self.provider_fault, name, treat) for name, treat in PROVIDER_FAULTS.items()),
        ]
        waiting: list[Callable[[random.Random], None]] = []
        while time.monotonic() < until:
            if not waiting:  # every fault has its turn before one comes again
                waiting = chance.sample(faults, len(faults))
            waiting.pop()(chance)
            self.heal()
            time.sleep(chance.uniform(0.5, 2.0))

    def heal(self) -> None:
        self.ground.relay.be_honest()
        self.ground.keeper.thaw()
        self.proxy.treat = treatments.honestly

    def relay_fault(self, name: str, chance: random.Random) -> None:
        self.faults[f"store: {name}"] += 1
        relay = self.ground.relay
        if name == "reset":
            relay.resets_after = chance.randrange(5)
        elif name == "freeze":
            relay.freeze()
        elif name == "delay":
            relay.delay = chance.choice([0.1, 0.7])
        elif name == "slice":
            relay.slice = chance.randrange(1, 9)
        else:
            relay.lose_reply_to(
                chance.choice(["precheck", "create", "record_result", "attempt", "redeem", "budget_take"])
            )
        time.sleep(chance.uniform(0.3, 1.5))

    def store_stopped(self, chance: random.Random) -> None:
        self.faults["store: stopped"] += 1
        self.ground.keeper.freeze()
        time.sleep(chance.uniform(0.2, 1.5))

    def store_paused(self, chance: random.Random) -> None:
        self.faults["store: paused"] += 1
        with self.ground.keeper.client() as client:
            client.client_pause(chance.randrange(200, 1_000), all=chance.random() < 0.5)
        time.sleep(1.0)

    def store_killed(self, chance: random.Random) -> None:
        self.faults["store: killed"] += 1
        self.ground.keeper.kill()
        time.sleep(chance.uniform(0.1, 1.0))
        self.ground.keeper.start()

    def scripts_flushed(self, chance: random.Random) -> None:
        self.faults["store: scripts flushed"] += 1
        with self.ground.keeper.client() as client:
            for _ in range(chance.randrange(1, 50)):
                client.script_flush()
                time.sleep(0.01)

    def worker_killed(self, chance: random.Random) -> None:
        """Kill the younger worker: the eldest is the one whose memory is watched."""
        self.faults["worker: killed"] += 1
        younger = [pid for pid in workers(self.ground.service) if pid != self.eldest]
        for pid in younger:
            os.kill(pid, signal.SIGKILL)
        if not eventually(lambda: self.has_new_worker(set(younger)), 20):
            self.unexpected.append("a killed worker was not replaced")

    def has_new_worker(self, old: set[int]) -> bool:
        time.sleep(0.1)
        return len(set(workers(self.ground.service)) - old) == 2

    def provider_fault(self, name: str, treat: Treat, chance: random.Random) -> None:
        self.faults[f"provider: {name}"] += 1
        self.proxy.treat = treat
        time.sleep(chance.uniform(0.3, 1.0))


def slow(exchange: treatments.Exchange) -> None:
    """The provider answers, after a while."""
    time.sleep(0.5)
    treatments.honestly(exchange)


PROVIDER_FAULTS: dict[str, Treat] = {
    "slow": slow,
    "reset": treatments.reset_at_once,
    "torn": treatments.torn,
    "half an answer": treatments.half,
}


def unalarmed(text: str) -> str:
    """Ten minutes of people who mistype are a day's wrong codes, from which challenges would be asked for."""
    text = text.replace(
        "[log]", "[global_failures]\nmin_failures = 1_000_000\nsevere_min_failures = 10_000_000\n[log]"
    )
    return text.replace('level = "debug"', 'level = "warning"')


@contextmanager
def prepared_soak(seed: int) -> Iterator[Soak]:
    """Run everything that a soak needs until the block ends."""
    with ExitStack() as stack:
        keeper = stack.enter_context(kept(redis_binary(), *LOG))
        relay = stack.enter_context(Relay(keeper.port))
        proxy = stack.enter_context(Proxy())
        ground = stack.enter_context(
            standing_on(
                keeper,
                relay,
                f"redis://127.0.0.1:{relay.port}/0",
                sandbox_url=proxy.url,
                sandbox_config=lambda config, _: replace(config, inbox_size=INBOX),
                change=unalarmed,
            )
        )
        proxy.target = ground.service.sandbox.port
        eldest = workers(ground.service)[0]
        yield Soak(ground, proxy, seed, eldest)
        assert alive(eldest)
