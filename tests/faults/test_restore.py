"""Effects of restoring a copy of Redis, as docs/production.md describes."""

from __future__ import annotations

import shutil
from pathlib import Path

from faults import clocks
from faults.harness import Harness, running_on
from faults.redis_process import RedisProcess, running_redis
from faults.relay import Relay
from support.deployment import new_phone
from support.redis_servers import valkey_binary

OVER = {"verification_expired", "verification_not_found"}


def snapshot(redis_process: RedisProcess, to: Path) -> None:
    with redis_process.client() as client:
        client.save()
    shutil.copy(redis_process.directory / "dump.rdb", to)


def restore(harness: Harness, copy: Path) -> None:
    """Replace the store's data by *copy*."""
    harness.redis_process.kill()
    shutil.copy(copy, harness.redis_process.directory / "dump.rdb")
    harness.redis_process.start()
    harness.relay.cut()
    harness.wait_until_healthy()


def test_recent_copy_revives_used_codes_and_proofs_and_a_copy_of_15_minutes_ago_does_not(
    tmp_path: Path,
) -> None:
    copy = tmp_path / "copy.rdb"
    with (
        running_redis(valkey_binary(), environment=clocks.environment(tmp_path)) as redis_process,
        Relay(redis_process.port) as relay,
        running_on(redis_process, relay, f"redis://127.0.0.1:{relay.port}/0") as harness,
    ):
        used, guessed_phone = new_phone(), new_phone()
        verification_id, guessed_id = harness.open(used), harness.open(guessed_phone)
        harness.shop.verify(guessed_phone, guessed_id, "000000")
        snapshot(redis_process, copy)
        first = harness.approve(used, verification_id)
        assert first.status == 200
        assert harness.shop.redeem(first.body["proof"]).status == 200
        assert harness.shop.verify(guessed_phone, guessed_id, "000001").body["attempts_left"] == 3

        restore(harness, copy)
        again = harness.approve(used, verification_id)
        assert again.status == 200, "a used code is accepted again"
        assert harness.shop.redeem(again.body["proof"]).status == 200, "and so is its proof"
        assert harness.shop.verify(guessed_phone, guessed_id, "000002").body["attempts_left"] == 3, (
            "a free guess"
        )

        clocks.set_offset(tmp_path, "+15m")
        restore(harness, copy)
        assert harness.approve(used, verification_id).body["code"] in OVER
        assert harness.shop.verify(guessed_phone, guessed_id, "000003").body["code"] in OVER
        harness.open(new_phone())
