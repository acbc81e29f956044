"""A25: all calls in any order, at any time, by any caller; then the history checker reads the results.

Hypothesis generates the sequences of calls. A failing one is not shrunk, which would take minutes.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import redis
from attacks.target import CLIENTS, PURPOSES, PhoneState, Target, new_phone, running_target
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from support.call_history import ExpectedLimits, History, Recorder, Sms, claims, violations

ANY_CLIENT = st.sampled_from(CLIENTS)
ANY_PHONE = st.integers(0, 1)
ANY_PURPOSE = st.sampled_from(PURPOSES)
SECONDS = st.sampled_from((1, 30, 59, 61, 61, 61, 119, 121, 299, 301, 3_601, 86_401))
GUESS = st.sampled_from(("right", "right", "wrong", "wrong", "older", "odd"))
TIMES = st.sampled_from((1, 1, 1, 2, 4, 6))
OUTCOMES = {"", "wrong_code", "verification_expired", "verification_not_found"}
"""The totals of all runs."""
MAX_WAIT = 300
"""The longest `Retry-After` in seconds that a person waits before asking for another code."""


class AnyOrder(RuleBasedStateMachine):
    """Three clients and two phones, with every call in any order. Each sequence has its own history."""

    target: ClassVar[Target]
    store: ClassVar[redis.Redis]
    """One connection for all sequences; the phone states are read after each step."""

    verifications = Bundle("verifications")
    proofs = Bundle("proofs")

    def __init__(self) -> None:
        super().__init__()
        self.phones = [new_phone(), new_phone()]
        self.history = History(hash_of=self.target.history.hash_of, hidden=self.target.history.hidden)
        self.callers = {
            name: Recorder(known._post, self.history, name, self.target.now)
            for name, known in self.target.clients.items()
        }

    # ── calls ──

    @rule(target=verifications, client=ANY_CLIENT, purpose=ANY_PURPOSE, which=ANY_PHONE)
    def request(self, client: str, purpose: str, which: int) -> Any:
        phone = self.phones[which]
        answer = self.callers[client].request(phone, purpose)
        if answer.status == 429 and answer.body["retry_after"] <= MAX_WAIT:
            self.target.pass_time(answer.body["retry_after"])
            answer = self.callers[client].request(phone, purpose)
        return (client, phone, answer.body["verification_id"]) if answer.status == 201 else multiple()

    @rule(seconds=SECONDS)
    def wait(self, seconds: int) -> None:
        self.target.pass_time(seconds)

    @rule(verification=verifications)
    def resend(self, verification: tuple[str, str, str]) -> None:
        client, phone, vid = verification
        self.callers[client].resend(phone, vid)

    @rule(target=proofs, verification=verifications, guess=GUESS, times=TIMES)
    def verify(self, verification: tuple[str, str, str], guess: str, times: int) -> Any:
        client, phone, vid = verification
        answers = [
            self.callers[client].verify(phone, vid, self._code(phone, vid, guess)) for _ in range(times)
        ]
        return multiple(*(answer.body["proof"] for answer in answers if answer.status == 200))

    @rule(target=proofs, verification=verifications, client=ANY_CLIENT, which=ANY_PHONE)
    def verify_as_a_stranger(self, verification: tuple[str, str, str], client: str, which: int) -> Any:
        """An attacker knows the code and the id, but is another client or names another phone."""
        _, phone, vid = verification
        answer = self.callers[client].verify(self.phones[which], vid, self._code(phone, vid, "right"))
        return answer.body["proof"] if answer.status == 200 else multiple()

    @rule(verification=verifications)
    def cancel(self, verification: tuple[str, str, str]) -> None:
        client, phone, vid = verification
        self.callers[client].cancel(phone, vid)

    @rule(verification=verifications, client=ANY_CLIENT)
    def status(self, verification: tuple[str, str, str], client: str) -> None:
        self.callers[client].status(*verification[1:])

    @rule(proof=proofs, client=ANY_CLIENT, purpose=ANY_PURPOSE)
    def redeem(self, proof: str, client: str, purpose: str) -> None:
        self.callers[client].redeem(proof, purpose)

    @rule(proof=proofs, times=TIMES)
    def redeem_as_its_owner(self, proof: str, times: int) -> None:
        says = claims(proof)
        for _ in range(times):
            self.callers[says["aud"]].redeem(proof, says["purpose"])

    # ── invariants ──

    @invariant()
    def phone_state_counts_the_failures_that_callers_saw(self) -> None:
        """The stored consecutive failures are those that callers have seen since the last success."""
        for phone in self.phones:
            failures = 0
            for call in self.history.of("verify"):
                if call.body["phone"] == phone:
                    failures = 0 if call.approved else failures + call.was_wrong
            phone_state = PhoneState.read(self.store.get(self.target.phone_key(phone)))
            assert phone_state.consecutive_failures == failures

    def teardown(self) -> None:
        self.history.sms = [sms for phone in self.phones for sms in self._sms(phone)]
        self.target.history.calls += self.history.calls
        assert violations(self.history, ExpectedLimits()) == []

    # ── helpers ──

    def _code(self, phone: str, vid: str, guess: str) -> str:
        codes = {sms.verification_hash: sms.code for sms in self._sms(phone)}
        vid = self.history.hash_of(vid)
        right = codes[vid]
        wrong = f"{(int(right) + 1 + secrets.randbelow(999_999)) % 10**6:06d}"
        older = next((code for other, code in codes.items() if other != vid and code != right), wrong)
        return {"right": right, "wrong": wrong, "older": older, "odd": f"{right}\n7"}[guess]

    def _sms(self, phone: str) -> list[Sms]:
        return self.target.sms(phone)


@pytest.fixture(scope="module")
def any_order() -> Iterator[type[AnyOrder]]:
    with running_target(movable=True) as target, target.redis.client() as store:
        AnyOrder.target = target
        AnyOrder.store = store
        yield AnyOrder


def test_a25_no_order_of_calls_violates_a_rule(any_order: type[AnyOrder]) -> None:
    run_state_machine_as_test(
        any_order,
        settings=settings(
            max_examples=30,
            stateful_step_count=40,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )

    log = any_order.target.log()
    reached = {outcome for outcome in OUTCOMES if f'"code":"{outcome}"' in log}
    assert reached == OUTCOMES, "the sequences are too short"
