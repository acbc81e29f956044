"""Calls with an idempotency key: executed once, however often they are repeated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import fakeredis
import pytest
from support import fakes
from support.events import RecordingEvents
from support.fakes import BANK, SHOP, Harness
from support.phone_in_store import OffsetClockRunner

from otp_service.domain.errors import (
    AlreadyVerified,
    CooldownActive,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    ProofRedeemed,
    ProviderUnavailable,
    StoreUnavailable,
    VerificationNotFound,
    WrongCode,
)
from otp_service.domain.idempotency import IdempotencyRecord
from otp_service.domain.messages import FailureCause, SendResult, SendStatus
from otp_service.domain.verification import Approval, DeliveryStatus
from otp_service.services.idempotency import SERVER, IdempotencyKey, record_for
from otp_service.services.verification import Approved, SendOutcome, VerificationService
from otp_service.store.verifications import RedisStore

PHONE, OTHER_PHONE = "+8613800138000", "+8613900139000"
ONCE = IdempotencyKey("order-17", b'{"phone":"+8613800138000"}')
OTHER_PAYLOAD = replace(ONCE, payload=b'{"phone":"+8613900139000"}')
ACCEPTED = SendResult(SendStatus.ACCEPTED, route="main")
REFUSED = SendResult(SendStatus.REFUSED, route="main", cause=FailureCause.PROVIDER)


class LossyStore(RedisStore):
    """Executes all calls. Those in *lost* (separated by spaces) then raise, as if the reply was lost."""

    lost: str = ""

    def attempt(self, *arguments: Any, **options: bool) -> Approval:
        return self._execute("attempt", lambda: super(LossyStore, self).attempt(*arguments, **options))

    def record_send_result(self, *arguments: Any) -> Any:
        return self._execute(
            "record_send_result", lambda: super(LossyStore, self).record_send_result(*arguments)
        )

    def redeem(self, *arguments: Any) -> bool:
        return self._execute("redeem", lambda: super(LossyStore, self).redeem(*arguments))

    def finish_idempotent(self, *arguments: Any) -> None:
        return self._execute(
            "finish_idempotent", lambda: super(LossyStore, self).finish_idempotent(*arguments)
        )

    def _execute(self, call: str, work: Callable[[], Any]) -> Any:
        reply = work()
        if call in self.lost.split():
            raise StoreUnavailable
        return reply


@dataclass
class IdempotentCalls:
    harness: Harness
    store: LossyStore
    runner: OffsetClockRunner
    client: fakeredis.FakeRedis

    @property
    def service(self) -> VerificationService:
        return self.harness.service

    @property
    def sms(self) -> int:
        return len(self.harness.sender.sent)

    def record(self, call: str, result_id: str = "", deadline: float = 6) -> IdempotencyRecord:
        """Return the record of a *call* of SHOP with the key ONCE."""
        keyring = self.harness.keyring
        return record_for(
            keyring, SHOP.id, ONCE, caller=SERVER, call=call, deadline=deadline, result_id=result_id
        )

    def request(self, repeat: IdempotencyKey | None = ONCE, phone: str = PHONE) -> SendOutcome:
        return self.service.request(SHOP, phone, purpose="login", idempotency_key=repeat)

    def verify(self, sent: SendOutcome, repeat: IdempotencyKey | None = ONCE, code: str = "") -> Approved:
        vid = sent.verification_id
        return self.service.verify(
            SHOP, PHONE, vid, code or self.harness.sender.last_code, idempotency_key=repeat
        )

    def wrong_code(self) -> str:
        return "000000" if self.harness.sender.last_code != "000000" else "000001"

    def pass_time(self, seconds: float) -> None:
        self.runner.offset_ms += int(seconds * 1000)
        self.harness.clock.advance(seconds)


@pytest.fixture
def calls() -> IdempotentCalls:
    client = fakeredis.FakeRedis()
    store = LossyStore(client, RecordingEvents(), shebang=False)
    runner = OffsetClockRunner(client, shebang=False)
    store.redis.scripts = runner
    return IdempotentCalls(fakes.harness(store=store), store, runner, client)


# ── request ──


def test_repeated_request_sends_one_sms_and_returns_the_same(calls: IdempotentCalls) -> None:
    first, second = calls.request(), calls.request()

    assert calls.sms == 1
    assert second.verification == replace(first.verification, now=second.verification.now)
    assert (first.replayed, second.replayed, second.outcome_unknown) == (False, True, False)


def test_same_key_of_another_browser_is_another_call(calls: IdempotentCalls) -> None:
    """A publishable key can be copied, so the user's address is part of the caller."""

    def at(client_ip: str, phone: str) -> SendOutcome:
        return calls.service.request(
            SHOP, phone, purpose="login", idempotency_key=ONCE, client_ip=client_ip, is_public=True
        )

    first, repeated, other = at("192.0.2.1", PHONE), at("192.0.2.1", PHONE), at("192.0.2.2", OTHER_PHONE)

    assert first.verification_id == repeated.verification_id != other.verification_id
    assert (first.replayed, repeated.replayed, other.replayed) == (False, True, False)
    assert calls.sms == 2


def test_key_with_another_payload_is_refused(calls: IdempotentCalls) -> None:
    calls.request()

    with pytest.raises(IdempotencyKeyReused):
        calls.request(OTHER_PAYLOAD, OTHER_PHONE)
    assert calls.sms == 1


def test_request_waits_while_the_first_still_runs(calls: IdempotentCalls) -> None:
    calls.store.begin_idempotent(calls.record("request", "v" * 22))

    with pytest.raises(IdempotencyInProgress) as wait:
        calls.request()
    assert 9 <= wait.value.retry_after <= 10
    assert calls.sms == 0


def test_call_is_not_considered_abandoned_before_its_deadline(calls: IdempotentCalls) -> None:
    patient = fakes.harness(store=calls.store, deadline=30)
    calls.store.begin_idempotent(calls.record("request", deadline=30))
    calls.pass_time(31)

    with pytest.raises(IdempotencyInProgress):
        patient.service.request(SHOP, PHONE, purpose="login", idempotency_key=ONCE)
    assert not patient.sender.sent


def test_request_is_repeated_if_the_first_created_nothing(calls: IdempotentCalls) -> None:
    calls.store.begin_idempotent(calls.record("request", "v" * 22))
    calls.pass_time(11)

    sent = calls.request()

    assert calls.sms == 1
    assert sent.verification_id == calls.harness.keyring.verification_id("v" * 22)
    assert calls.request().replayed


def test_request_whose_send_was_not_recorded_sends_nothing_again(calls: IdempotentCalls) -> None:
    calls.store.lost = "record_send_result finish_idempotent"
    first = calls.request()
    calls.store.lost = ""

    again = calls.request()

    assert calls.sms == 1
    assert again.replayed
    assert again.verification_id == first.verification_id


def test_request_that_died_before_recording_has_an_unknown_outcome(calls: IdempotentCalls) -> None:
    """The state after a process has died: the verification exists, and the key is still in progress."""
    vid = calls.request().verification_id
    record = calls.record("request")
    seed = calls.store.begin_idempotent(record).result_id
    calls.store.finish_idempotent(record)
    calls.store.begin_idempotent(replace(record, result_id=seed))
    calls.pass_time(11)

    again = calls.request()

    assert (again.replayed, again.outcome_unknown) == (True, True)
    assert again.verification_id == vid
    assert calls.sms == 1


def test_refusal_releases_the_key(calls: IdempotentCalls) -> None:
    calls.harness.sender.outcome = REFUSED
    with pytest.raises(ProviderUnavailable):
        calls.request()
    calls.harness.sender.outcome = ACCEPTED

    assert not calls.request().replayed
    assert calls.sms == 2


def test_precheck_refusal_releases_the_key(calls: IdempotentCalls) -> None:
    calls.request(repeat=None)
    with pytest.raises(CooldownActive):
        calls.request()
    calls.pass_time(60)

    assert not calls.request().replayed


def test_same_key_of_another_client_is_another_key(calls: IdempotentCalls) -> None:
    calls.request()
    calls.pass_time(60)

    sent = calls.service.request(
        BANK, PHONE, purpose="transfer", client_ip="203.0.113.7", idempotency_key=ONCE
    )

    assert not sent.replayed
    assert calls.sms == 2


def test_same_key_of_another_call_is_another_key(calls: IdempotentCalls) -> None:
    sent = calls.request()

    assert not calls.verify(sent).replayed


def test_repeated_resend_sends_one_sms(calls: IdempotentCalls) -> None:
    vid = calls.request(repeat=None).verification_id
    calls.pass_time(60)
    first = calls.service.resend(SHOP, PHONE, vid, idempotency_key=ONCE)
    second = calls.service.resend(SHOP, PHONE, vid, idempotency_key=ONCE)

    assert calls.sms == 2
    assert (first.replayed, second.replayed) == (False, True)


def test_resend_that_sent_nothing_is_replayed_too(calls: IdempotentCalls) -> None:
    calls.harness.sender.outcome = SendResult(SendStatus.UNKNOWN, route="main")
    vid = calls.request(repeat=None).verification_id
    calls.pass_time(60)
    first = calls.service.resend(SHOP, PHONE, vid, idempotency_key=ONCE)
    second = calls.service.resend(SHOP, PHONE, vid, idempotency_key=ONCE)

    assert (first.dispatched, second.replayed) == (False, True)
    assert len(calls.harness.sender.lookups) == 1


def test_replay_of_an_expired_verification_is_not_found(calls: IdempotentCalls) -> None:
    first = calls.request()
    assert first.verification.delivery is DeliveryStatus.ACCEPTED
    for key in calls.client.scan_iter("otp:{*"):
        calls.client.delete(key)

    with pytest.raises(VerificationNotFound):
        calls.request()
    assert calls.sms == 1


# ── verify ──


def test_repeated_verify_returns_the_same_proof(calls: IdempotentCalls) -> None:
    sent = calls.request()
    first = calls.verify(sent)
    calls.pass_time(7)
    second = calls.verify(sent)

    assert second.proof == first.proof
    assert (first.proof_expires_in, second.proof_expires_in) == (180, 173)
    assert (first.replayed, second.replayed) == (False, True)
    assert len(calls.harness.usage_counters.approvals) == 1


def test_verify_with_a_lost_reply_can_be_repeated(calls: IdempotentCalls) -> None:
    sent = calls.request()
    calls.store.lost = "attempt"
    with pytest.raises(StoreUnavailable):
        calls.verify(sent)
    calls.store.lost = ""

    assert calls.verify(sent).proof
    assert calls.verify(sent).replayed


def test_without_a_key_the_second_verify_is_refused(calls: IdempotentCalls) -> None:
    sent = calls.request()
    calls.verify(sent, None)

    with pytest.raises(AlreadyVerified):
        calls.verify(sent, None)
    with pytest.raises(AlreadyVerified):
        calls.verify(sent, ONCE)


def test_wrong_code_releases_the_key_and_every_attempt_counts(calls: IdempotentCalls) -> None:
    sent = calls.request()
    for left in (4, 3):
        with pytest.raises(WrongCode) as wrong:
            calls.verify(sent, code=calls.wrong_code())
        assert wrong.value.attempts_left == left

    assert not calls.verify(sent).replayed


def test_verify_with_another_payload_is_refused_and_not_counted(calls: IdempotentCalls) -> None:
    sent = calls.request()
    calls.verify(sent)

    with pytest.raises(IdempotencyKeyReused):
        calls.verify(sent, OTHER_PAYLOAD, code=calls.wrong_code())


def test_verify_waits_while_the_first_still_runs(calls: IdempotentCalls) -> None:
    sent = calls.request()
    calls.store.begin_idempotent(calls.record("verify"))

    with pytest.raises(IdempotencyInProgress):
        calls.verify(sent)


# ── redeem ──


def test_repeated_redeem_returns_the_same(calls: IdempotentCalls) -> None:
    proof = calls.verify(calls.request()).proof
    first = calls.service.redeem(SHOP, proof, purpose="login", idempotency_key=ONCE)
    second = calls.service.redeem(SHOP, proof, purpose="login", idempotency_key=ONCE)

    assert first.proof == second.proof
    assert (first.replayed, second.replayed) == (False, True)


def test_redeem_with_a_lost_reply_can_be_repeated(calls: IdempotentCalls) -> None:
    proof = calls.verify(calls.request()).proof
    calls.store.lost = "redeem"
    with pytest.raises(StoreUnavailable):
        calls.service.redeem(SHOP, proof, purpose="login", idempotency_key=ONCE)
    calls.store.lost = ""

    assert calls.service.redeem(SHOP, proof, purpose="login", idempotency_key=ONCE).replayed


@pytest.mark.parametrize("repeat", [None, IdempotencyKey("order-18", b"")], ids=["no key", "another key"])
def test_proof_cannot_be_redeemed_again_with_another_key_or_none(
    calls: IdempotentCalls, repeat: IdempotencyKey | None
) -> None:
    proof = calls.verify(calls.request()).proof
    calls.service.redeem(SHOP, proof, purpose="login", idempotency_key=ONCE)

    with pytest.raises(ProofRedeemed):
        calls.service.redeem(SHOP, proof, purpose="login", idempotency_key=repeat)


def test_idempotency_record_does_not_show_the_payload(calls: IdempotentCalls) -> None:
    record = calls.record("request", "v" * 22)

    assert "order-17" not in record.key_hash
    assert len(record.fingerprint) == 16
    assert PHONE[3:] not in repr((record, ONCE))
