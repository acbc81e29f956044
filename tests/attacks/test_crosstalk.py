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
def target_with_outages() -> Iterator[Target]:
    with running_target() as running:
        yield running


@contextmanager
def outages(target: Target, stops: int = 5) -> Iterator[threading.Event]:
    """Freeze Redis repeatedly for longer than any call waits; the event is set at the end."""
    over, process = threading.Event(), target.redis.process

    def freeze_redis() -> None:
        for _ in range(stops):
            time.sleep(0.2)
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(0.65)
            os.kill(process.pid, signal.SIGCONT)
        over.set()

    thread = threading.Thread(target=freeze_redis)
    thread.start()
    yield over
    thread.join()


@dataclass
class User:
    """One person, with one phone number at a time; *foreign_answers* are answers to other callers."""

    target: Target
    phone: str = ""
    statuses: Counter[int] = field(default_factory=Counter)
    foreign_answers: list[str] = field(default_factory=list)

    def run(self, over: threading.Event) -> None:
        while not over.is_set():
            self.phone = new_phone()
            vid = self.check_answer(self.target.shop.request(self.phone), "")
            if vid:
                self.check_answer(self.target.shop.status(self.phone, vid), vid)
                guess = wrong_codes("", 1)[0]
                self.check_answer(self.target.shop.verify(self.phone, vid, guess), vid)
                approved = self.target.shop.verify(self.phone, vid, self.target.code(self.phone))
                self.check_answer(approved, vid)
                self.check_approval(approved, vid)

    def check_answer(self, answer: Answer, vid: str) -> str:
        """Return the verification id in *answer*, which must be *vid* if that is known."""
        self.statuses[answer.status] += 1
        body = answer.body
        masked = f"+86 {self.phone[3:6]}****{self.phone[-4:]}"
        expected = {"phone_masked": masked, "phone": self.phone} | ({"verification_id": vid} if vid else {})
        if any(body.get(name, fact) != fact for name, fact in expected.items()):
            self.foreign_answers.append(answer.text)
        return str(body.get("verification_id", "")) if answer.status < 300 else ""

    def check_approval(self, approved: Answer, vid: str) -> None:
        """A proof must be for this phone; an error must be one that this call can return."""
        if approved.status == 200:
            redeemed = self.target.shop.redeem(approved.body["proof"])
            self.check_answer(redeemed, vid)
        elif approved.status not in (409, 422, 503):
            self.foreign_answers.append(approved.text)


def test_a32_no_call_gets_the_answer_of_another(target_with_outages: Target) -> None:
    target = target_with_outages
    users = [User(target) for _ in range(USERS)]
    with outages(target) as over:
        threads = [threading.Thread(target=user.run, args=(over,)) for user in users]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    statuses = sum((user.statuses for user in users), Counter[int]())
    assert [text for user in users for text in user.foreign_answers] == []
    assert statuses[200] > USERS
    assert statuses[503] > USERS, "the outages had no effect"
    assert set(statuses) <= {200, 201, 202, 404, 409, 422, 503}


def test_a32_service_recovers_after_the_outages(target_with_outages: Target) -> None:
    target, phone = target_with_outages, new_phone()
    with outages(target, stops=1) as over:
        over.wait()
    verification_id = target.open(phone)

    assert target.shop.verify(phone, verification_id, target.code(phone)).status == 200
    assert target.deployment.get("/readyz").status == 200
