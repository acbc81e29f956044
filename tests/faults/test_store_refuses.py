"""A store that refuses commands: a 503, and nothing is done, not even partly."""

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
from faults.harness import (
    Harness,
    configured,
    is_refused_for_now,
    repeat_in_background,
    running_harness,
    statuses,
)
from faults.redis_process import RedisProcess, running_redis
from support.deployment import Answer, at_once, config_text, make_secrets, new_phone
from support.events import RecordingEvents
from support.redis_servers import free_port, redis_binary, running
from support.waiting import eventually

from otp_service.domain.errors import StoreUnavailable
from otp_service.store.client import client_from_url
from otp_service.store.verifications import RedisStore


def assert_everything_is_refused(harness: Harness, phone: str, verification_id: str, proof: str) -> None:
    """Assert that every writing call is a 503, that the service is not ready, and that nothing is written."""
    before, sms = harness.stored_values(), len(harness.sms())

    answers = harness.all_calls(phone, verification_id, proof)

    refused = [answer for answer in answers if is_refused_for_now(answer)]
    others = [answer for answer in answers if answer not in refused]
    assert [answer.text for answer in others if not only_reads(answer)] == []
    assert len(refused) >= len(answers) - 2, "only a status and a cooldown can still be read"
    assert is_refused_for_now(harness.service.get("/readyz"))
    assert harness.service.get("/healthz").status == 200
    assert harness.stored_values() == before
    assert len(harness.sms()) == sms


def only_reads(answer: Answer) -> bool:
    return answer.status == 200 or answer.body["code"] == "cooldown_active"


@pytest.fixture
def pending(harness: Harness) -> tuple[str, str, str]:
    """A phone, its pending verification, and a proof of another phone."""
    proof, phone = harness.earn_proof(), new_phone()
    return phone, harness.open(phone), proof


# ── F07, F08: memory ──


def test_f07_full_memory_refuses_every_call_and_loses_nothing(
    harness: Harness, pending: tuple[str, str, str]
) -> None:
    phone, opened, _ = pending
    with configured(harness.redis_process, maxmemory=1):
        assert_everything_is_refused(harness, *pending)

    harness.wait_until_healthy()
    assert harness.approve(phone, opened).status == 200


def test_f08_eviction_policy_makes_the_service_unready(harness: Harness) -> None:
    with configured(harness.redis_process, maxmemory_policy="allkeys-lru"):
        assert is_refused_for_now(harness.service.get("/readyz"))


def test_f08_service_does_not_start_with_an_eviction_policy(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    with running(redis_binary(), "--maxmemory-policy", "volatile-lru") as server:
        config.write_text(config_text(server.url, "https://127.0.0.1:1", free_port(), make_secrets()))
        command = [sys.executable, "-m", "otp_service", "serve", "--config", str(config)]
        started = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert started.returncode == 2
    assert "maxmemory-policy volatile-lru" in started.stderr


# ── F09, F10: replicas ──


@contextmanager
def replica_of(redis_process: RedisProcess) -> Iterator[RedisProcess]:
    with running_redis(redis_binary()) as replica:
        with replica.client() as client, configured(redis_process, repl_diskless_sync_delay=0):
            client.replicaof("127.0.0.1", redis_process.port)
            assert eventually(lambda: client.info("replication")["master_link_status"] == "up", 10)
        yield replica


def test_f09_replica_is_rejected_and_left_once_the_address_is_the_master(
    harness: Harness, pending: tuple[str, str, str]
) -> None:
    """If the address leads to another server, connections to the old one are closed."""
    with replica_of(harness.redis_process) as replica:
        harness.relay.target = replica.port
        harness.relay.cut()
        assert_everything_is_refused(harness, *pending)

        harness.relay.target = harness.redis_process.port
        harness.wait_until_healthy()
        phone, opened, _ = pending
        assert harness.approve(phone, opened).status == 200


def test_f10_master_without_its_replicas_refuses_every_call(
    harness: Harness, pending: tuple[str, str, str]
) -> None:
    phone, opened, _ = pending
    with configured(harness.redis_process, min_replicas_to_write=1):
        assert_everything_is_refused(harness, *pending)

    assert harness.approve(phone, opened).status == 200


# ── F11: the disk ──


def test_f11_store_that_cannot_save_refuses_every_call(
    harness: Harness, pending: tuple[str, str, str]
) -> None:
    phone, opened, _ = pending
    blocked = harness.redis_process.directory / "dump.rdb"
    blocked.mkdir()
    with configured(harness.redis_process, save="3600 1") as client:
        client.bgsave()
        assert eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        assert_everything_is_refused(harness, *pending)
        blocked.rmdir()
        client.save()
        (harness.redis_process.directory / "dump.rdb").unlink()

    harness.wait_until_healthy()
    assert harness.approve(phone, opened).status == 200


# ── F12, F13: busy or loading ──


def test_f12_busy_store_is_a_503_until_its_script_is_killed(
    harness: Harness, pending: tuple[str, str, str]
) -> None:
    phone, opened, proof = pending
    with configured(harness.redis_process, busy_reply_threshold=100) as client:
        endless = threading.Thread(target=run_endlessly, args=(harness.redis_process,))
        endless.start()
        with pytest.raises(redis.ResponseError, match="BUSY"):
            until_busy(client)
        answers = harness.all_calls(phone, opened, proof)
        client.script_kill()
        endless.join()

    assert all(is_refused_for_now(answer) for answer in answers)
    assert harness.approve(phone, opened).status == 200


def run_endlessly(redis_process: RedisProcess) -> None:
    with redis_process.client() as client, suppress(redis.RedisError):
        client.eval("while true do end", 0)


def until_busy(client: redis.Redis) -> None:
    while client.ping():
        time.sleep(0.01)


def test_f13_loading_store_is_a_503_and_loses_nothing() -> None:
    slowly = ("--key-load-delay", "6000", "--loading-process-events-interval-bytes", "1024")
    with running_harness() as harness:
        phone, proof = new_phone(), harness.earn_proof()
        verification_id = harness.open(phone)
        right = harness.code(phone)
        with harness.redis_process.client() as client:
            for number in range(250):
                client.set(f"otp:filler:{number}", secrets.token_bytes(1024), ex=600)
            client.save()
        harness.redis_process.kill()
        harness.redis_process.start(*slowly, wait=False)
        with harness.redis_process.client() as client:
            assert eventually(lambda: is_loading(client), 10)

        answers = harness.all_calls(phone, verification_id, proof)

        assert all(is_refused_for_now(answer) for answer in answers)
        assert is_refused_for_now(harness.service.get("/readyz"))
        harness.wait_until_healthy()
        assert harness.shop.verify(phone, verification_id, right).status == 200
        harness.end()


def is_loading(client: redis.Redis) -> bool:
    try:
        client.ping()
    except redis.BusyLoadingError:
        return True
    except redis.ConnectionError:
        return False
    return False


# ── F14: no free connection ──


def test_f14_store_without_a_free_connection_is_a_503(harness: Harness) -> None:
    phones = [new_phone() for _ in range(40)]
    with configured(harness.redis_process, maxclients=harness.connections() + 2):
        harness.relay.delay = 0.1  # calls overlap, so that each needs a connection
        answers = at_once([lambda phone=phone: harness.shop.request(phone) for phone in phones])

    refused = [answer for answer in answers if answer.status == 503]
    assert statuses(answers) <= {201, 202, 503}
    assert len(refused) > 0, "every call got a connection"
    assert all(is_refused_for_now(answer) for answer in refused)


# ── F15: the password is rejected ──

PASSWORD = "first-" + secrets.token_urlsafe(12)
USER = ("--user", "otp", "on", f">{PASSWORD}", "~otp:*", "+@all", "-@admin")


@pytest.fixture(scope="module")
def harness_with_password() -> Iterator[Harness]:
    """A harness whose service uses a Redis user with a password."""
    with running_harness(*USER, url=f"redis://otp:{PASSWORD}@127.0.0.1:{{port}}/0") as harness:
        yield harness


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
def test_f15_rejected_redis_user_is_a_503(
    harness_with_password: Harness, rules: tuple[str, ...], undo: tuple[str, ...]
) -> None:
    harness = harness_with_password
    harness.begin()
    phone, proof = new_phone(), harness.earn_proof()
    verification_id = harness.open(phone)
    with harness.redis_process.client() as client:
        client.execute_command("ACL SETUSER", "otp", *rules)
        for user in client.client_list():
            if user["user"] == "otp":
                client.client_kill_filter(_id=user["id"])
        assert_everything_is_refused(harness, phone, verification_id, proof)
        client.execute_command("ACL SETUSER", "otp", *undo)
    harness.wait_until_healthy()

    assert harness.approve(phone, verification_id).status == 200
    assert PASSWORD not in harness.log()
    harness.end()


def test_f15_password_change_under_load_causes_only_503s(harness_with_password: Harness) -> None:
    harness = harness_with_password
    harness.begin()
    with (
        harness.redis_process.client() as client,
        repeat_in_background(*[lambda: harness.shop.request(new_phone())] * 4),
    ):
        for password in ("second", PASSWORD):
            time.sleep(0.2)
            client.execute_command("ACL SETUSER", "otp", "resetpass", f">{password}")
            harness.relay.cut()
        time.sleep(0.2)
    seen = {call.status for call in harness.history.calls}

    assert {201, 503} <= seen <= {201, 202, 503}
    assert PASSWORD not in harness.log()
    harness.end()


def test_f15_noauth_is_store_unavailable() -> None:
    with (
        running(redis_binary()) as server,
        server.client() as operator,
        client_from_url(server.url) as client,
    ):
        operator.config_set("requirepass", PASSWORD)
        with pytest.raises(StoreUnavailable):
            RedisStore(client, RecordingEvents()).check_health()
        with pytest.raises(StoreUnavailable):
            RedisStore(client, RecordingEvents()).unlock("A" * 16)


# ── F16: lost scripts ──


def test_f16_repeated_script_flush_fails_no_call(harness: Harness) -> None:
    def flush_scripts() -> None:
        client.script_flush()
        time.sleep(0.002)

    def make_calls() -> None:
        phone = new_phone()
        verification_id = harness.open(phone)
        harness.shop.verify(phone, verification_id, "000000")
        approved = harness.approve(phone, verification_id)
        assert harness.shop.redeem(approved.body["proof"]).status == 200

    with harness.redis_process.client() as client, repeat_in_background(flush_scripts):
        until = time.monotonic() + 1.5
        with repeat_in_background(*[make_calls] * 3):
            time.sleep(max(0, until - time.monotonic()))

    assert {call.status for call in harness.history.calls} <= {200, 201, 422}
    assert len(harness.history.calls) > 20
