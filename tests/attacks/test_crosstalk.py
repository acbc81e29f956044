"""Cross-talk: a late reply must never be read as the reply to another call."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from attacks.target import Answer, Target, new_phone, running_target, wrong_codes

USERS = 50


@pytest.fixture(scope="module")
def stormy_target() -> Iterator[Target]:
    with running_target() as running:
        yield running


@contextmanager
def storm(target: Target, stops: int = 5) -> Iterator[threading.Event]:
    """Freeze Redis repeatedly for longer than any call waits; the event is set at the end."""
    over, process = threading.Event(), target.redis.process

    def rage() -> None:
        for _ in range(stops):
            time.sleep(0.2)
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(0.65)
            os.kill(process.pid, signal.SIGCONT)
        over.set()

    thread = threading.Thread(target=rage)
    thread.start()
    yield over
    thread.join()


@dataclass
class User:
    """One person, with one phone number at a time; *strange* collects answers to other callers."""

    target: Target
    phone: str = ""
    seen: Counter[int] = field(default_factory=Counter)
    strange: list[str] = field(default_factory=list)

    def live(self, over: threading.Event) -> None:
        while not over.is_set():
            self.phone = new_phone()
            vid = self.mine(self.target.shop.request(self.phone), "")
            if vid:
                self.mine(self.target.shop.status(self.phone, vid), vid)
                guess = wrong_codes("", 1)[0]
                self.mine(self.target.shop.verify(self.phone, vid, guess), vid)
                approved = self.target.shop.verify(self.phone, vid, self.target.code(self.phone))
                self.mine(approved, vid)
                self.earned(approved, vid)

    def mine(self, answer: Answer, vid: str) -> str:
        """Return the verification id in *answer*, which must be *vid* if that is known."""
        self.seen[answer.status] += 1
        told = answer.body
        masked = f"+86 {self.phone[3:6]}****{self.phone[-4:]}"
        expected = {"phone_masked": masked, "phone": self.phone} | ({"verification_id": vid} if vid else {})
        if any(told.get(name, fact) != fact for name, fact in expected.items()):
            self.strange.append(answer.text)
        return str(told.get("verification_id", "")) if answer.status < 300 else ""

    def earned(self, approved: Answer, vid: str) -> None:
        """A proof must be for this phone; an error must be one that this call can return."""
        if approved.status == 200:
            told = self.target.shop.redeem(approved.body["proof"])
            self.mine(told, vid)
        elif approved.status not in (409, 422, 503):
            self.strange.append(approved.text)


def test_a32_nobody_ever_gets_anothers_answer(stormy_target: Target) -> None:
    target = stormy_target
    users = [User(target) for _ in range(USERS)]
    with storm(target) as over:
        threads = [threading.Thread(target=user.live, args=(over,)) for user in users]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    seen = sum((user.seen for user in users), Counter[int]())
    assert [text for user in users for text in user.strange] == []
    assert seen[200] > USERS
    assert seen[503] > USERS, "the storm was not felt"
    assert set(seen) <= {200, 201, 202, 404, 409, 422, 503}


def test_a32_the_service_is_well_after_the_storm(stormy_target: Target) -> None:
    target, phone = stormy_target, new_phone()
    with storm(target, stops=1) as over:
        over.wait()
    opened = target.open(phone)

    assert target.shop.verify(phone, opened, target.code(phone)).status == 200
    assert target.deployment.get("/readyz").status == 200
