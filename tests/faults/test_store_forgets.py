"""A store that loses data in a failover or a restart: only the documented effects occur."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from faults.harness import Harness, is_refused_for_now, running_harness, running_on
from faults.redis_process import RedisProcess, running_redis
from faults.relay import Relay
from support.call_history import check, violations
from support.deployment import new_phone
from support.redis_servers import redis_binary
from support.waiting import eventually

LOG = ("--appendonly", "yes", "--appendfsync", "no")
"""Acknowledged writes are in the kernel's buffers, so only a crash of the machine can lose them."""


# ── F17: a failover that loses data ──


@contextmanager
def replicated(
    change: Callable[[str], str] = lambda text: text,
) -> Iterator[tuple[Harness, RedisProcess, Relay]]:
    """Run a harness whose store has a replica, with a relay between the two."""
    with ExitStack() as stack:
        master = stack.enter_context(running_redis(redis_binary(), "--repl-diskless-sync-delay", "0"))
        between = stack.enter_context(Relay(master.port))
        replica = stack.enter_context(running_redis(redis_binary()))
        with replica.client() as client:
            client.replicaof("127.0.0.1", between.port)
            assert eventually(lambda: client.info("replication")["master_link_status"] == "up", 10)
        with master.client() as client:  # which sends nothing until the replica's first acknowledgement
            assert eventually(lambda: client.set("write", 1, px=1_000) and client.wait(1, 100), 10)
        relay = stack.enter_context(Relay(master.port))
        url = f"redis://127.0.0.1:{relay.port}/0"
        harness = stack.enter_context(running_on(master, relay, url, change))
        yield harness, replica, between


def fail_over(harness: Harness, replica: RedisProcess) -> None:
    """Kill the master and promote the replica."""
    harness.redis_process.kill()
    with replica.client() as client:
        client.replicaof("NO", "ONE")
    harness.relay.target = replica.port
    harness.relay.cut()
    harness.wait_until_healthy()


def synced(harness: Harness, replica: RedisProcess) -> bool:
    with harness.redis_process.client() as one, replica.client() as other:
        return bool(
            one.info("replication")["master_repl_offset"] == other.info("replication")["slave_repl_offset"]
        )


def test_f17_failover_with_loss_undoes_only_what_was_not_replicated() -> None:
    """A used code is accepted once more within its lifetime, and counts roll back; see docs/operations.md."""
    with replicated() as (harness, replica, between):
        used, guessed_phone = new_phone(), new_phone()
        verification_id, guessed_id = harness.open(used), harness.open(guessed_phone)
        right = harness.code(used)
        harness.shop.verify(guessed_phone, guessed_id, "000000")
        assert eventually(lambda: synced(harness, replica), 10)

        between.freeze()
        first = harness.shop.verify(used, verification_id, right)
        redeemed = harness.shop.redeem(first.body["proof"])
        lost_guesses = [harness.shop.verify(guessed_phone, guessed_id, f"00000{i}") for i in range(1, 4)]
        fail_over(harness, replica)
        second = harness.shop.verify(used, verification_id, right)
        third = harness.shop.verify(used, verification_id, right)
        after = harness.shop.verify(guessed_phone, guessed_id, "000009")

        assert (first.status, redeemed.status) == (200, 200)
        assert [answer.body["attempts_left"] for answer in lost_guesses] == [3, 2, 1]
        assert (second.status, third.status) == (200, 409), "once more, and only once"
        assert after.body["attempts_left"] == 3, "the guess that was replicated stays counted"
        harness.history.sms, harness.history.log = harness.sms(), harness.log()
        assert sorted(violations(harness.history, harness.limits)) == sorted(
            [
                f"{verification_id} was approved 2 times",
                f"two guesses for {guessed_id} were counted as one",
                *([f"{verification_id} has 2 proofs"] if first.body["proof"] != second.body["proof"] else []),
                f"a code for {verification_id} was evaluated after its end",
            ]
        )


def waits_for_replicas(text: str) -> str:
    return text.replace("[redis]", "[redis]\nmin_replica_acks = 1")


def test_f17_with_min_replica_acks_no_answered_change_is_lost() -> None:
    with replicated(waits_for_replicas) as (harness, replica, between):
        phone, asked, used = new_phone(), new_phone(), new_phone()
        verification_id, over = harness.open(phone), harness.open(used)
        right = harness.code(phone)
        assert harness.approve(used, over).status == 200

        between.freeze()
        unapproved = harness.shop.verify(phone, verification_id, right)
        unsent = harness.shop.request(asked)
        harness.redis_process.kill()
        between.cut()  # the writes that it held are lost
        with replica.client() as client:
            client.replicaof("NO", "ONE")
            client.config_set("repl-diskless-sync-delay", 0)
        harness.relay.target = replica.port
        harness.relay.cut()

        assert is_refused_for_now(unapproved)
        assert is_refused_for_now(unsent)
        assert harness.sms(asked) == []
        assert harness.service.get("/readyz").status == 503, "the new master has no replica"
        with running_redis(redis_binary()) as another, another.client() as client:
            client.replicaof("127.0.0.1", replica.port)
            harness.wait_until_healthy()
            assert harness.approve(used, over).body["code"] == "already_verified"
            assert harness.shop.verify(phone, verification_id, right).status == 200
            harness.history.sms, harness.history.log = harness.sms(), harness.log()
        check(harness.history)


# ── F18: restart ──


def test_f18_restart_without_persistence_loses_codes_and_counters() -> None:
    with running_harness() as harness:
        phone = new_phone()
        verification_id, right = harness.open(phone), harness.code(phone)
        harness.redis_process.kill()
        harness.redis_process.start()
        harness.wait_until_healthy()

        assert harness.shop.verify(phone, verification_id, right).body["code"] == "verification_not_found"
        assert harness.service.get("/readyz").body["warnings"] == ["store_not_persistent"]
        harness.end()


def test_f18_killed_store_with_append_only_file_loses_nothing() -> None:
    with running_harness(*LOG) as harness:
        phone, used = new_phone(), new_phone()
        verification_id, right = harness.open(phone), harness.code(phone)
        harness.shop.verify(phone, verification_id, "000000")
        proof = harness.approve(used, over := harness.open(used)).body["proof"]
        harness.shop.redeem(proof)
        before = harness.stored_values()
        harness.redis_process.kill()
        harness.redis_process.start()

        assert harness.stored_values() == before
        harness.wait_until_healthy()
        assert harness.service.get("/readyz").body["warnings"] == []
        assert harness.shop.request(phone).body["code"] == "cooldown_active"
        assert harness.shop.verify(phone, verification_id, "000001").body["attempts_left"] == 3
        assert harness.shop.verify(phone, verification_id, right).status == 200
        assert harness.approve(used, over).body["code"] == "already_verified"
        assert harness.shop.redeem(proof).body["code"] == "proof_redeemed"
        harness.end()
