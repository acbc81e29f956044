"""What clocks cost that step, or differ: no code lives longer, nobody waits for hours, nothing crashes."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from faults import clocks
from faults.ground import Ground, standing_on
from faults.keeper import Keeper, kept
from faults.relay import Relay
from sms.doubles import eventually
from support.deployment import Answer, new_phone
from support.redis_servers import redis_binary, valkey_binary

ENDED = {"verification_expired", "verification_not_found"}
DAY = 86_400
WRONG = Path(__file__).parent / "wrong"


def waits(answer: Answer) -> int:
    return int(next(value for name, value in answer.headers.items() if name.lower() == "retry-after"))


def ahead(keeper: Keeper) -> float:
    """Return how far in the future the store lives."""
    with keeper.client() as client:
        return float(client.time()[0]) - time.time()


def test_f24_stepping_clock_of_the_store_revives_no_code_and_makes_nobody_wait(tmp_path: Path) -> None:
    with (
        kept(valkey_binary(), environment=clocks.environment(tmp_path)) as keeper,
        Relay(keeper.port) as relay,
        standing_on(keeper, relay, f"redis://127.0.0.1:{relay.port}/0") as ground,
    ):
        old, used, asked = new_phone(), new_phone(), new_phone()
        opened, over = ground.open(old), ground.open(used)
        right = ground.code(old)
        assert ground.approve(used, over).status == 200
        ground.open(asked)

        clocks.step(tmp_path, "-2h")
        assert ahead(keeper) == pytest.approx(-7200, abs=60)
        back = ground.shop.verify(old, opened, right)
        again = ground.shop.request(asked)
        reused = ground.approve(used, over)
        young = new_phone()
        born = ground.open(young)

        assert back.body["code"] in ENDED
        assert again.status == 429
        assert 1 <= waits(again) <= DAY
        assert reused.status in (404, 409, 410)
        assert ground.approve(young, born).status == 200
        ground.is_well()

        clocks.step(tmp_path, "+1h")
        assert ahead(keeper) == pytest.approx(3600, abs=60)
        forward = ground.shop.verify(old, opened, right)

        assert forward.body["code"] in ENDED
        assert ground.approve(used, over).body["code"] in ENDED
        ground.is_well()

        clocks.step(tmp_path, "+0")
        ground.end()


@contextmanager
def wrong_by(seconds: float) -> Iterator[Ground]:
    """A ground whose service believes in another time than its store and its provider."""
    with kept(redis_binary()) as keeper, Relay(keeper.port) as relay, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTP_TEST_WRONG_BY", str(seconds))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(WRONG), *sys.path]))
        with standing_on(keeper, relay, f"redis://127.0.0.1:{relay.port}/0") as ground:
            patch.undo()
            yield ground


@pytest.mark.parametrize("seconds", [300.0, -300.0])
def test_f25_clock_of_the_service_has_no_say_in_the_life_of_a_code(seconds: float) -> None:
    with wrong_by(seconds) as ground:
        phone = new_phone()
        sent = ground.shop.request(phone)
        opened = sent.body["verification_id"]

        assert sent.status == 201
        assert 290 <= sent.body["expires_in"] <= 300
        assert 50 <= sent.body["resend_in"] <= 60
        assert ground.shop.verify(phone, opened, "000000").body["attempts_left"] == 4
        assert ground.approve(phone, opened).status == 200
        assert told_at(ground) - time.time() == pytest.approx(seconds, abs=60)
        skews = [json.loads(line) for line in ground.log().splitlines() if '"event":"clock_skew"' in line]
        assert [skew["seconds"] for skew in skews] == [pytest.approx(seconds, abs=30)]
        ground.end()


def test_f25_clock_that_the_provider_refuses_is_for_an_operator_and_costs_nothing() -> None:
    with wrong_by(-1200) as ground:
        phone, before = new_phone(), ground.budget()

        refused = ground.shop.request(phone)

        assert (refused.status, refused.body["code"]) == (502, "provider_misconfigured")
        assert ground.sms(phone) == []
        assert ground.budget() == before
        assert eventually(lambda: '"provider_code":"InvalidTimeStamp.Expired"' in ground.log())
        assert eventually(lambda: '"event":"route_suspended"' in ground.log())
        assert eventually(lambda: '"event":"clock_skew"' in ground.log())


def told_at(ground: Ground) -> float:
    """Return the time that the service wrote into its newest line."""
    assert eventually(lambda: '"event":"http_request"' in ground.log())
    line = json.loads(ground.log().splitlines()[-1])
    return datetime.fromisoformat(line["time"]).timestamp()
