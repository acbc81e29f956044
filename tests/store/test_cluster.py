"""Redis Cluster: one write to each server involved, and redirections."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
import redis
from redis.crc import key_slot
from support.phone_in_store import LIMITS, RIGHT, WRONG, Phone, make_phone, new_verification
from support.redis_clusters import Cluster, run_command, running_cluster
from support.redis_servers import Server, redis_binary
from support.store_backends import LONG_TIMEOUTS

from otp_service.domain.errors import StoreUnavailable, WrongCode
from otp_service.domain.limits import Budget
from otp_service.domain.risk import PhoneKey
from otp_service.domain.verification import Status
from otp_service.store import keys
from otp_service.store.admin import AdminStore
from otp_service.store.client import TcpConnection, from_url
from otp_service.store.cluster import ClusterBackend
from otp_service.store.health import UnsuitableRedis
from otp_service.store.scripts import Call

BUDGET = Budget("service", "service_sms_per_day", 9, 0.2)


@pytest.fixture(scope="module")
def pair() -> Iterator[Cluster]:
    """Two masters; tests move slots between them."""
    with running_cluster(redis_binary(), 2) as cluster:
        yield cluster


@pytest.fixture
def phone(pair: Cluster) -> Iterator[Phone]:
    """A phone on the first master, in a store that knows the slot map."""
    with pair.client() as client:
        phone = at(pair.masters[0], make_phone(cast("redis.Redis", client), servers=servers_of(pair)))
        phone.store.redis.inspect()
        yield phone


def servers_of(cluster: Cluster) -> ClusterBackend:
    servers = from_url(cluster.url(), LONG_TIMEOUTS)
    assert isinstance(servers, ClusterBackend)
    return servers


def at(server: Server, phone: Phone) -> Phone:
    """Return a phone whose keys are on *server*."""
    owned = slots_of(server)
    while True:
        phone_hash = secrets.token_urlsafe(12)
        if slot_of(phone_hash) in owned:
            return replace(phone, phone_key=PhoneKey(phone_hash, LIMITS))


def slots_of(server: Server) -> set[int]:
    reply = cast("list[Any]", run_command(server, "CLUSTER", "SLOTS"))
    return {
        slot
        for first, last, (_, port, *_), *_ in reply
        for slot in range(first, last + 1)
        if port == server.port
    }


def slot_of(phone_hash: str) -> int:
    return key_slot(keys.phone_state(phone_hash).encode())


def owns_budgets(server: Server) -> bool:
    return key_slot(keys.budget(BUDGET.scope).encode()) in slots_of(server)


def move(slot: int, source: Server, target: Server, *moved: str) -> None:
    """Begin to move *slot*, with the keys *moved* so far."""
    run_command(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", run_command(source, "CLUSTER", "MYID"))
    run_command(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", run_command(target, "CLUSTER", "MYID"))
    if moved:
        run_command(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *moved)


def finish(slot: int, source: Server, target: Server) -> None:
    for server in (target, source):
        run_command(server, "CLUSTER", "SETSLOT", slot, "NODE", run_command(target, "CLUSTER", "MYID"))


def sends(phone: Phone) -> int:
    return len(AdminStore(phone.store.redis).phone_usage(phone.phone_key.phone_hash, LIMITS, 5).sends)


def test_pipeline_sends_to_every_server_before_it_reads_a_reply(
    redis_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with redis_cluster.client() as client:
        phone = make_phone(cast("redis.Redis", client), servers=servers_of(redis_cluster))
        phones = [at(server, phone) for server in (*redis_cluster.masters, redis_cluster.masters[0])]
        calls = [Call("unlock", [keys.phone_state(one.phone_key.phone_hash)], []) for one in phones]
        phone.store.redis.run_scripts(calls)  # the script is known now, and the connections are there
        seen: list[str | int] = []
        send, read = TcpConnection.send_packed_command, TcpConnection.read_response

        def sending(connection: TcpConnection, *arguments: Any, **options: Any) -> None:
            seen.append(connection.port)
            send(connection, *arguments, **options)

        def reading(connection: TcpConnection, *arguments: Any, **options: Any) -> Any:
            seen.append("read")
            return read(connection, *arguments, **options)

        monkeypatch.setattr(TcpConnection, "send_packed_command", sending)
        monkeypatch.setattr(TcpConnection, "read_response", reading)
        phone.store.redis.run_scripts(calls)

    assert sorted(map(str, seen[:3])) == sorted(str(server.port) for server in redis_cluster.masters)
    assert seen[3:] == ["read"] * 4


def test_call_follows_a_slot_that_has_moved_and_runs_once(pair: Cluster, phone: Phone) -> None:
    source, target = pair.masters
    slot = slot_of(phone.phone_key.phone_hash)
    move(slot, source, target)
    finish(slot, source, target)

    verification = phone.open()

    assert sends(phone) == 1
    assert slot in slots_of(target)
    with pytest.raises(WrongCode):
        phone.submit(verification, WRONG)
    assert phone.read(verification).attempts_left == 4


def test_call_is_redirected_while_a_slot_moves(pair: Cluster, phone: Phone) -> None:
    source, target = pair.masters
    slot = slot_of(phone.phone_key.phone_hash)
    verification = phone.open()
    state_key, verification_key = (
        keys.phone_state(phone.phone_key.phone_hash),
        keys.verification(phone.phone_key.phone_hash, verification.verification_hash),
    )
    move(slot, source, target, state_key, verification_key)

    with pytest.raises(WrongCode):
        phone.submit(verification, WRONG)

    assert phone.read(verification).attempts_left == 4
    finish(slot, source, target)
    assert phone.submit(verification, RIGHT) == "login"


def test_call_with_keys_on_both_servers_is_rejected_and_not_run(pair: Cluster, phone: Phone) -> None:
    source, target = pair.masters
    slot = slot_of(phone.phone_key.phone_hash)
    verification = phone.open()
    state_key, verification_key = (
        keys.phone_state(phone.phone_key.phone_hash),
        keys.verification(phone.phone_key.phone_hash, verification.verification_hash),
    )
    move(slot, source, target, state_key)

    with pytest.raises(StoreUnavailable):
        phone.submit(verification, WRONG)

    run_command(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", verification_key)
    finish(slot, source, target)
    assert phone.read(verification).attempts_left == 5


def test_dead_server_makes_only_its_own_keys_unavailable() -> None:
    with running_cluster(redis_binary(), 3, 0, "--cluster-require-full-coverage", "no") as cluster:
        dead, alive, *_ = sorted(cluster.masters, key=owns_budgets, reverse=True)
        with alive.client() as client:
            servers = servers_of(cluster)
            here, there = (at(server, make_phone(client, servers=servers)) for server in (alive, dead))
            verification, lost = here.open(), there.open()
            dead.process.kill()
            dead.process.wait()

            with pytest.raises(StoreUnavailable):
                there.submit(lost, RIGHT)
            assert here.submit(verification, RIGHT) == "login"
            with pytest.raises(StoreUnavailable):
                here.store.check_health()
            other = at(alive, here)
            with pytest.raises(StoreUnavailable):
                other.store.create(other.phone_key, new_verification(), {BUDGET: 9})


def test_every_server_is_inspected(redis_cluster: Cluster) -> None:
    with redis_cluster.client() as client:
        store = make_phone(cast("redis.Redis", client), servers=servers_of(redis_cluster)).store
        store.check_health()
        last = redis_cluster.masters[-1]
        run_command(last, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(UnsuitableRedis, match="store"):
                store.check_health()
            seen = store.redis.inspect()
        finally:
            run_command(last, "CONFIG", "SET", "maxmemory-policy", "noeviction")

    assert (seen.servers, seen.replicas) == (3, 0)
    assert "allkeys-lru" in seen.unsuitability


def test_cluster_member_is_not_a_single_server(redis_cluster: Cluster) -> None:
    member = redis_cluster.masters[0]
    with member.client() as client:
        store = make_phone(client, servers=from_url(f"redis://127.0.0.1:{member.port}", LONG_TIMEOUTS)).store
        seen = store.redis.inspect()

    assert "redis+cluster://" in seen.unsuitability


def test_one_live_seed_is_enough(redis_cluster: Cluster) -> None:
    dead = "127.0.0.1:1,127.0.0.1:2"
    url = f"redis+cluster://{dead},127.0.0.1:{redis_cluster.masters[0].port}"
    with redis_cluster.client() as client:
        phone = make_phone(cast("redis.Redis", client), servers=from_url(url, LONG_TIMEOUTS))

        assert phone.read(phone.open()).status is Status.PENDING
