"""Durable writes wait for a replica and fail without one."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from support.events import RecordingEvents
from support.phone_in_store import CLIENT, RIGHT, WRONG, Phone, make_phone, new_verification
from support.redis_clusters import is_synced
from support.redis_servers import Server, redis_binary, running, valkey_binary
from support.store_backends import LONG_TIMEOUTS
from support.waiting import wait_until

from otp_service.domain.codes import CodeType
from otp_service.domain.errors import AlreadyVerified, ProofRedeemed, StoreUnavailable, WrongCode
from otp_service.domain.limits import Budget
from otp_service.domain.verification import Approval, CodeAttempt, Status, Verification
from otp_service.store.backend import ReplicationWait
from otp_service.store.client import from_url
from otp_service.store.health import UnsuitableRedis

WAIT = ReplicationWait(replicas=1, seconds=1)


@dataclass
class Pair:
    """A master and its replica, which a test can freeze."""

    master: Server
    replica: Server

    @contextmanager
    def frozen(self) -> Iterator[None]:
        os.kill(self.replica.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.replica.process.pid, signal.SIGCONT)

    def phone(self, phone: Phone | None = None) -> Phone:
        """Return a phone, or the given one, with connections that have written nothing yet."""
        fresh = make_phone(self.master.client(), servers=from_url(self.master.url, LONG_TIMEOUTS), wait=WAIT)
        return fresh if phone is None else replace(fresh, phone_key=phone.phone_key)


@pytest.fixture(scope="module", params=[redis_binary, valkey_binary], ids=["redis", "valkey"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    binary = request.param()
    with (
        running(binary) as master,
        running(binary, "--replicaof", f"127.0.0.1 {master.port}") as replica,
    ):
        wait_until(lambda: is_synced(replica))
        yield Pair(master, replica)


def submit(phone: Phone, verification: Verification, digest: bytes, call: bytes) -> Approval:
    attempt = CodeAttempt({"2026a": digest}, frozenset(CodeType), at=0, idempotency_fingerprint=call)
    return phone.store.attempt(phone.phone_key, CLIENT, verification.verification_hash, attempt)


def kinds(phone: Phone) -> list[object]:
    assert isinstance(phone.store.redis._events, RecordingEvents)
    return [facts["kind"] for event, facts in phone.store.redis._events.emitted if event == "redis_error"]


def test_every_call_succeeds_with_a_replica(pair: Pair) -> None:
    phone = pair.phone()
    verification = phone.open()
    with pytest.raises(WrongCode):
        phone.submit(verification, WRONG)

    assert phone.submit(verification, RIGHT) == "login"
    assert not phone.store.redeem(phone.phone_key.phone_hash, verification.verification_hash, 60)
    phone.store.check_health()
    assert phone.store.redis.inspect().replicas == 1


def test_approval_without_a_replica_fails_and_its_call_may_repeat_it(pair: Pair) -> None:
    phone = pair.phone()
    verification = phone.open()
    with pair.frozen():
        with pytest.raises(StoreUnavailable):
            submit(phone, verification, RIGHT, b"this call")
        assert kinds(phone) == ["NotReplicated"]
        with pytest.raises(StoreUnavailable):
            submit(pair.phone(phone), verification, RIGHT, b"this call")

    with pytest.raises(AlreadyVerified):
        submit(phone, verification, RIGHT, b"another call")
    assert submit(pair.phone(phone), verification, RIGHT, b"this call").purpose == "login"


def test_reservation_without_a_replica_is_released(pair: Pair) -> None:
    phone = pair.phone()
    budget = Budget(f"client:{secrets.token_hex(4)}", "client_sms_per_day", 1, 0.2)
    phone.budgets = {budget: 1}
    with pair.frozen(), pytest.raises(StoreUnavailable):
        phone.open()

    assert phone.stored_keys() == []
    assert phone.open().status is Status.PENDING


def test_resend_without_a_replica_uses_no_quota(pair: Pair) -> None:
    phone = pair.phone()
    verification = phone.open()
    phone.pass_time(60)
    with pair.frozen(), pytest.raises(StoreUnavailable):
        phone.store.reserve_resend(phone.phone_key, CLIENT, verification.verification_hash, 300, {})

    assert len(phone.read(verification).sends) == 1
    assert len(phone.resend(verification).sends) == 2


def test_redemption_without_a_replica_fails_and_its_call_may_repeat_it(pair: Pair) -> None:
    phone = pair.phone()
    phone_hash, vid = phone.phone_key.phone_hash, new_verification().verification_hash
    with pair.frozen():
        for one in (phone, pair.phone(phone)):
            with pytest.raises(StoreUnavailable):
                one.store.redeem(phone_hash, vid, 60, b"this call")

    with pytest.raises(ProofRedeemed):
        phone.store.redeem(phone_hash, vid, 60, b"another call")
    assert phone.store.redeem(phone_hash, vid, 60, b"this call")


def test_writes_that_may_be_lost_wait_for_no_replica(pair: Pair) -> None:
    phone = pair.phone()
    verification = phone.open()
    with pair.frozen():
        assert phone.read(verification).status is Status.PENDING
        phone.store.cancel(phone.phone_key, CLIENT, verification.verification_hash)

    assert kinds(phone) == []


def test_master_with_too_few_replicas_is_unsuitable(redis_server: Server) -> None:
    with redis_server.client() as client:
        phone = make_phone(client, wait=WAIT)
        with pytest.raises(UnsuitableRedis) as unsuitable:
            phone.store.check_health()

        assert "min_replica_acks (1)" in unsuitable.value.reason
        assert phone.store.redis.inspect().unsuitability == unsuitable.value.reason
