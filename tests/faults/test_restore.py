"""What a restored copy of Redis brings back, as docs/production.md says: the past, unless it is old."""

from __future__ import annotations

import shutil
from pathlib import Path

from faults import clocks
from faults.ground import Ground, standing_on
from faults.keeper import Keeper, kept
from faults.relay import Relay
from support.deployment import new_phone
from support.redis_servers import valkey_binary

OVER = {"verification_expired", "verification_not_found"}


def snapshot(keeper: Keeper, to: Path) -> None:
    with keeper.client() as client:
        client.save()
    shutil.copy(keeper.directory / "dump.rdb", to)


def restore(ground: Ground, copy: Path) -> None:
    """Put *copy* in the place of what the store has."""
    ground.keeper.kill()
    shutil.copy(copy, ground.keeper.directory / "dump.rdb")
    ground.keeper.start()
    ground.relay.cut()
    ground.is_well()


def test_copy_of_a_moment_ago_revives_used_codes_and_proofs_and_a_copy_of_15_minutes_ago_does_not(
    tmp_path: Path,
) -> None:
    copy = tmp_path / "copy.rdb"
    with (
        kept(valkey_binary(), environment=clocks.environment(tmp_path)) as keeper,
        Relay(keeper.port) as relay,
        standing_on(keeper, relay, f"redis://127.0.0.1:{relay.port}/0") as ground,
    ):
        used, besieged = new_phone(), new_phone()
        opened, guessed = ground.open(used), ground.open(besieged)
        ground.shop.verify(besieged, guessed, "000000")
        snapshot(keeper, copy)
        first = ground.approve(used, opened)
        assert first.status == 200
        assert ground.shop.redeem(first.body["proof"]).status == 200
        assert ground.shop.verify(besieged, guessed, "000001").body["attempts_left"] == 3

        restore(ground, copy)
        again = ground.approve(used, opened)
        assert again.status == 200, "a used code is good once more"
        assert ground.shop.redeem(again.body["proof"]).status == 200, "and so is its proof"
        assert ground.shop.verify(besieged, guessed, "000002").body["attempts_left"] == 3, "a free guess"

        clocks.step(tmp_path, "+15m")
        restore(ground, copy)
        assert ground.approve(used, opened).body["code"] in OVER
        assert ground.shop.verify(besieged, guessed, "000003").body["code"] in OVER
        ground.open(new_phone())
