"""What a store costs that comes back with less than it knew: what is documented, and nothing beyond it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from faults.ground import Ground, is_refused_for_now, prepared, standing_on
from faults.keeper import Keeper, kept
from faults.relay import Relay
from sms.doubles import eventually
from support.call_history import check, findings
from support.deployment import new_phone
from support.redis_servers import redis_binary

LOG = ("--appendonly", "yes", "--appendfsync", "no")
"""What was answered for has been handed to the kernel: only a machine that dies can lose it."""


# ── F17: a failover that loses ──


@contextmanager
def replicated(change: Callable[[str], str] = lambda text: text) -> Iterator[tuple[Ground, Keeper, Relay]]:
    """A ground whose store has a replica, and the relay between the two."""
    with ExitStack() as stack:
        master = stack.enter_context(kept(redis_binary(), "--repl-diskless-sync-delay", "0"))
        between = stack.enter_context(Relay(master.port))
        replica = stack.enter_context(kept(redis_binary()))
        with replica.client() as client:
            client.replicaof("127.0.0.1", between.port)
            assert eventually(lambda: client.info("replication")["master_link_status"] == "up", 10)
        relay = stack.enter_context(Relay(master.port))
        url = f"redis://127.0.0.1:{relay.port}/0"
        ground = stack.enter_context(standing_on(master, relay, url, change))
        yield ground, replica, between


def fail_over(ground: Ground, replica: Keeper) -> None:
    """Kill the master and let the replica take its place, with what it has."""
    ground.keeper.kill()
    with replica.client() as client:
        client.replicaof("NO", "ONE")
    ground.relay.target = replica.port
    ground.relay.cut()
    ground.is_well()


def synced(ground: Ground, replica: Keeper) -> bool:
    with ground.keeper.client() as one, replica.client() as other:
        return bool(
            one.info("replication")["master_repl_offset"] == other.info("replication")["slave_repl_offset"]
        )


def test_f17_failover_with_loss_undoes_what_the_replica_had_not_heard_and_no_more() -> None:
    """As docs/operations.md says: a used code is accepted once more within its life, and counts roll back."""
    with replicated() as (ground, replica, between):
        used, besieged = new_phone(), new_phone()
        opened, guessed = ground.open(used), ground.open(besieged)
        right = ground.code(used)
        ground.shop.verify(besieged, guessed, "000000")
        assert eventually(lambda: synced(ground, replica), 10)

        between.freeze()
        first = ground.shop.verify(used, opened, right)
        redeemed = ground.shop.redeem(first.body["proof"])
        lost = [ground.shop.verify(besieged, guessed, f"00000{i}") for i in range(1, 4)]
        fail_over(ground, replica)
        second = ground.shop.verify(used, opened, right)
        third = ground.shop.verify(used, opened, right)
        after = ground.shop.verify(besieged, guessed, "000009")

        assert (first.status, redeemed.status) == (200, 200)
        assert [answer.body["attempts_left"] for answer in lost] == [3, 2, 1]
        assert (second.status, third.status) == (200, 409), "once more, and only once"
        assert after.body["attempts_left"] == 3, "the guess that was replicated stays counted"
        ground.history.sms, ground.history.log = ground.sms(), ground.log()
        assert sorted(findings(ground.history, ground.promise)) == sorted(
            [
                f"{opened} was approved 2 times",
                f"two guesses for {guessed} were counted as one",
                *([f"{opened} has 2 proofs"] if first.body["proof"] != second.body["proof"] else []),
                f"a code for {opened} was evaluated after its end",
            ]
        )


def waits_for_replicas(text: str) -> str:
    return text.replace("[redis]", "[redis]\nmin_replica_acks = 1")


def test_f17_with_replicas_to_wait_for_nothing_that_was_answered_is_lost() -> None:
    with replicated(waits_for_replicas) as (ground, replica, between):
        phone, asked, used = new_phone(), new_phone(), new_phone()
        opened, over = ground.open(phone), ground.open(used)
        right = ground.code(phone)
        assert ground.approve(used, over).status == 200

        between.freeze()
        unapproved = ground.shop.verify(phone, opened, right)
        unsent = ground.shop.request(asked)
        ground.keeper.kill()
        between.cut()  # what it held is lost
        with replica.client() as client:
            client.replicaof("NO", "ONE")
            client.config_set("repl-diskless-sync-delay", 0)
        ground.relay.target = replica.port
        ground.relay.cut()

        assert is_refused_for_now(unapproved)
        assert is_refused_for_now(unsent)
        assert ground.sms(asked) == []
        assert ground.service.get("/readyz").status == 503, "the new master has no replica"
        with kept(redis_binary()) as another, another.client() as client:
            client.replicaof("127.0.0.1", replica.port)
            ground.is_well()
            assert ground.approve(used, over).body["code"] == "already_verified"
            assert ground.shop.verify(phone, opened, right).status == 200
            ground.history.sms, ground.history.log = ground.sms(), ground.log()
        check(ground.history)


# ── F18: it starts again ──


def test_f18_restart_without_persistence_forgets_codes_and_counters() -> None:
    with prepared() as ground:
        phone = new_phone()
        opened, right = ground.open(phone), ground.code(phone)
        ground.keeper.kill()
        ground.keeper.start()
        ground.is_well()

        assert ground.shop.verify(phone, opened, right).body["code"] == "verification_not_found"
        assert ground.service.get("/readyz").body["warnings"] == ["store_not_persistent"]
        ground.end()


def test_f18_killed_store_with_its_log_has_forgotten_nothing() -> None:
    with prepared(*LOG) as ground:
        phone, used = new_phone(), new_phone()
        opened, right = ground.open(phone), ground.code(phone)
        ground.shop.verify(phone, opened, "000000")
        proof = ground.approve(used, over := ground.open(used)).body["proof"]
        ground.shop.redeem(proof)
        before = ground.everything()
        ground.keeper.kill()
        ground.keeper.start()

        assert ground.everything() == before
        ground.is_well()
        assert ground.service.get("/readyz").body["warnings"] == []
        assert ground.shop.request(phone).body["code"] == "cooldown_active"
        assert ground.shop.verify(phone, opened, "000001").body["attempts_left"] == 3
        assert ground.shop.verify(phone, opened, right).status == 200
        assert ground.approve(used, over).body["code"] == "already_verified"
        assert ground.shop.redeem(proof).body["code"] == "proof_redeemed"
        ground.end()
