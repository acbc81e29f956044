"""What a store costs that answers, and says no: nothing is done, nothing is half done, a 503 says so."""

from __future__ import annotations

import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis
from faults.ground import Ground, configured, in_the_background, is_refused_for_now, prepared, statuses
from faults.keeper import Keeper, kept
from sms.doubles import eventually
from support.deployment import Answer, at_once, config_text, make_secrets, new_phone
from support.fakes import FakeEvents
from support.redis_servers import free_port, redis_binary, running

from otp_service.domain.errors import StoreUnavailable
from otp_service.store.client import client_from_url
from otp_service.store.verifications import RedisStore


def refuses_everything(ground: Ground, phone: str, opened: str, proof: str) -> None:
    """Every call that writes is a 503, the service says that it is not ready, and nothing is written."""
    before, sms = ground.everything(), len(ground.sms())

    answers = ground.all_calls(phone, opened, proof)

    refused = [answer for answer in answers if is_refused_for_now(answer)]
    others = [answer for answer in answers if answer not in refused]
    assert [answer.text for answer in others if not only_reads(answer)] == []
    assert len(refused) >= len(answers) - 2, "only a status and a cooldown may still be read"
    assert is_refused_for_now(ground.service.get("/readyz"))
    assert ground.service.get("/healthz").status == 200
    assert ground.everything() == before
    assert len(ground.sms()) == sms


def only_reads(answer: Answer) -> bool:
    return answer.status == 200 or answer.body["code"] == "cooldown_active"


@pytest.fixture
def pending(ground: Ground) -> tuple[str, str, str]:
    """A phone, its verification that waits for its code, and a proof of another phone."""
    proof, phone = ground.earn_proof(), new_phone()
    return phone, ground.open(phone), proof


# ── F07, F08: memory ──


def test_f07_full_memory_refuses_everything_whole_and_forgets_nothing(
    ground: Ground, pending: tuple[str, str, str]
) -> None:
    phone, opened, _ = pending
    with configured(ground.keeper, maxmemory=1):
        refuses_everything(ground, *pending)

    ground.is_well()
    assert ground.approve(phone, opened).status == 200


def test_f08_store_that_evicts_makes_the_service_unready(ground: Ground) -> None:
    with configured(ground.keeper, maxmemory_policy="allkeys-lru"):
        assert is_refused_for_now(ground.service.get("/readyz"))


def test_f08_service_does_not_start_on_a_store_that_evicts(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    with running(redis_binary(), "--maxmemory-policy", "volatile-lru") as server:
        config.write_text(config_text(server.url, "https://127.0.0.1:1", free_port(), make_secrets()))
        command = [sys.executable, "-m", "otp_service", "serve", "--config", str(config)]
        started = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert started.returncode == 2
    assert "maxmemory-policy volatile-lru" in started.stderr


# ── F09, F10: replicas ──


@contextmanager
def replica_of(keeper: Keeper) -> Iterator[Keeper]:
    with kept(redis_binary()) as replica:
        with replica.client() as client, configured(keeper, repl_diskless_sync_delay=0):
            client.replicaof("127.0.0.1", keeper.port)
            assert eventually(lambda: client.info("replication")["master_link_status"] == "up", 10)
        yield replica


def test_f09_replica_is_refused_and_left_as_soon_as_the_address_leads_to_the_master(
    ground: Ground, pending: tuple[str, str, str]
) -> None:
    """The address of a store may come to mean another server: a connection to the old one is not kept."""
    with replica_of(ground.keeper) as replica:
        ground.relay.target = replica.port
        ground.relay.cut()
        refuses_everything(ground, *pending)

        ground.relay.target = ground.keeper.port
        ground.is_well()
        phone, opened, _ = pending
        assert ground.approve(phone, opened).status == 200


def test_f10_master_without_its_replicas_refuses_everything(
    ground: Ground, pending: tuple[str, str, str]
) -> None:
    phone, opened, _ = pending
    with configured(ground.keeper, min_replicas_to_write=1):
        refuses_everything(ground, *pending)

    assert ground.approve(phone, opened).status == 200


# ── F11: the disk ──


def test_f11_store_that_cannot_save_refuses_everything(ground: Ground, pending: tuple[str, str, str]) -> None:
    phone, opened, _ = pending
    blocked = ground.keeper.directory / "dump.rdb"
    blocked.mkdir()
    with configured(ground.keeper, save="3600 1") as client:
        client.bgsave()
        assert eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        refuses_everything(ground, *pending)
        blocked.rmdir()
        client.save()
        (ground.keeper.directory / "dump.rdb").unlink()

    ground.is_well()
    assert ground.approve(phone, opened).status == 200


# ── F12, F13: it is busy with something else ──


def test_f12_busy_store_is_answered_for_until_its_script_is_killed(
    ground: Ground, pending: tuple[str, str, str]
) -> None:
    phone, opened, proof = pending
    with configured(ground.keeper, busy_reply_threshold=100) as client:
        endless = threading.Thread(target=run_endlessly, args=(ground.keeper,))
        endless.start()
        with pytest.raises(redis.ResponseError, match="BUSY"):
            until_busy(client)
        answers = ground.all_calls(phone, opened, proof)
        client.script_kill()
        endless.join()

    assert all(is_refused_for_now(answer) for answer in answers)
    assert ground.approve(phone, opened).status == 200


def run_endlessly(keeper: Keeper) -> None:
    with keeper.client() as client, suppress(redis.RedisError):
        client.eval("while true do end", 0)


def until_busy(client: redis.Redis) -> None:
    while client.ping():
        time.sleep(0.01)


def test_f13_store_that_loads_is_answered_for_and_has_forgotten_nothing() -> None:
    slowly = ("--key-load-delay", "6000", "--loading-process-events-interval-bytes", "1024")
    with prepared() as ground:
        phone, proof = new_phone(), ground.earn_proof()
        opened = ground.open(phone)
        right = ground.code(phone)
        with ground.keeper.client() as client:
            for number in range(250):
                client.set(f"otp:filler:{number}", secrets.token_bytes(1024), ex=600)
            client.save()
        ground.keeper.kill()
        ground.keeper.start(*slowly, wait=False)
        with ground.keeper.client() as client:
            assert eventually(lambda: is_loading(client), 10)

        answers = ground.all_calls(phone, opened, proof)

        assert all(is_refused_for_now(answer) for answer in answers)
        assert is_refused_for_now(ground.service.get("/readyz"))
        ground.is_well()
        assert ground.shop.verify(phone, opened, right).status == 200
        ground.end()


def is_loading(client: redis.Redis) -> bool:
    try:
        client.ping()
    except redis.BusyLoadingError:
        return True
    except redis.ConnectionError:
        return False
    return False


# ── F14: no room for one more connection ──


def test_f14_store_without_a_free_place_is_answered_for(ground: Ground) -> None:
    phones = [new_phone() for _ in range(40)]
    with configured(ground.keeper, maxclients=ground.connections() + 2):
        ground.relay.delay = 0.1  # calls overlap, so that connections are wanted
        answers = at_once([lambda phone=phone: ground.shop.request(phone) for phone in phones])

    refused = [answer for answer in answers if answer.status == 503]
    assert statuses(answers) <= {201, 202, 503}
    assert len(refused) > 0, "there was room for all"
    assert all(is_refused_for_now(answer) for answer in refused)


# ── F15: it does not know us ──

PASSWORD = "first-" + secrets.token_urlsafe(12)
USER = ("--user", "otp", "on", f">{PASSWORD}", "~otp:*", "+@all", "-@admin")


@pytest.fixture(scope="module")
def known_ground() -> Iterator[Ground]:
    """A ground whose service is a user of the store, with a password."""
    with prepared(*USER, url=f"redis://otp:{PASSWORD}@127.0.0.1:{{port}}/0") as ground:
        yield ground


@pytest.mark.parametrize(
    ("rules", "undo"),
    [
        (("resetpass", ">second"), ("resetpass", f">{PASSWORD}")),
        (("off",), ("on",)),
        (("-@scripting", "-set"), ("+@all", "-@admin")),
        (("resetkeys",), ("~otp:*",)),
    ],
    ids=["WRONGPASS", "user off", "NOPERM commands", "NOPERM keys"],
)
def test_f15_store_that_does_not_know_the_service_is_answered_for(
    known_ground: Ground, rules: tuple[str, ...], undo: tuple[str, ...]
) -> None:
    ground = known_ground
    ground.begin()
    phone, proof = new_phone(), ground.earn_proof()
    opened = ground.open(phone)
    with ground.keeper.client() as client:
        client.execute_command("ACL SETUSER", "otp", *rules)
        for user in client.client_list():
            if user["user"] == "otp":
                client.client_kill_filter(_id=user["id"])
        refuses_everything(ground, phone, opened, proof)
        client.execute_command("ACL SETUSER", "otp", *undo)
    ground.is_well()

    assert ground.approve(phone, opened).status == 200
    assert PASSWORD not in ground.log()
    ground.end()


def test_f15_password_that_is_changed_under_load_costs_503s_only(known_ground: Ground) -> None:
    ground = known_ground
    ground.begin()
    with ground.keeper.client() as client, in_the_background(*[lambda: ground.shop.request(new_phone())] * 4):
        for password in ("second", PASSWORD):
            time.sleep(0.2)
            client.execute_command("ACL SETUSER", "otp", "resetpass", f">{password}")
            ground.relay.cut()
        time.sleep(0.2)
    seen = {call.status for call in ground.history.calls}

    assert {201, 503} <= seen <= {201, 202, 503}
    assert PASSWORD not in ground.log()
    ground.end()


def test_f15_noauth_is_a_store_that_is_not_available() -> None:
    with (
        running(redis_binary()) as server,
        server.client() as operator,
        client_from_url(server.url) as client,
    ):
        operator.config_set("requirepass", PASSWORD)
        with pytest.raises(StoreUnavailable):
            RedisStore(client, FakeEvents()).check_health()
        with pytest.raises(StoreUnavailable):
            RedisStore(client, FakeEvents()).unlock("A" * 16)


# ── F16: it has forgotten the scripts ──


def test_f16_scripts_flushed_all_the_time_are_noticed_by_nobody(ground: Ground) -> None:
    def flush() -> None:
        client.script_flush()
        time.sleep(0.002)

    def live() -> None:
        phone = new_phone()
        opened = ground.open(phone)
        ground.shop.verify(phone, opened, "000000")
        approved = ground.approve(phone, opened)
        assert ground.shop.redeem(approved.body["proof"]).status == 200

    with ground.keeper.client() as client, in_the_background(flush):
        until = time.monotonic() + 1.5
        with in_the_background(*[live] * 3):
            time.sleep(max(0, until - time.monotonic()))

    assert {call.status for call in ground.history.calls} <= {200, 201, 422}
    assert len(ground.history.calls) > 20
