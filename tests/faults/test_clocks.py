"""Clocks that step or differ: no code lives longer, no caller waits for hours, nothing crashes."""

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
from faults.harness import Harness, running_on
from faults.redis_process import RedisProcess, running_redis
from faults.relay import Relay
from support.deployment import Answer, new_phone
from support.redis_servers import redis_binary, valkey_binary
from support.waiting import eventually

ENDED = {"verification_expired", "verification_not_found"}
DAY = 86_400
WRONG = Path(__file__).parent / "wrong"


def waits(answer: Answer) -> int:
    return int(next(value for name, value in answer.headers.items() if name.lower() == "retry-after"))


def ahead(redis_process: RedisProcess) -> float:
    """Return how many seconds the store's clock is ahead."""
    with redis_process.client() as client:
        return float(client.time()[0]) - time.time()


def test_f24_clock_step_of_the_store_revives_no_code_and_blocks_no_caller(tmp_path: Path) -> None:
    with (
        running_redis(valkey_binary(), environment=clocks.environment(tmp_path)) as redis_process,
        Relay(redis_process.port) as relay,
        running_on(redis_process, relay, f"redis://127.0.0.1:{relay.port}/0") as harness,
    ):
        old_phone, used_phone, waiting_phone = new_phone(), new_phone(), new_phone()
        verification_id, used_id = harness.open(old_phone), harness.open(used_phone)
        right = harness.code(old_phone)
        assert harness.approve(used_phone, used_id).status == 200
        harness.open(waiting_phone)

        clocks.set_offset(tmp_path, "-2h")
        assert ahead(redis_process) == pytest.approx(-7200, abs=60)
        back = harness.shop.verify(old_phone, verification_id, right)
        again = harness.shop.request(waiting_phone)
        reused = harness.approve(used_phone, used_id)
        young = new_phone()
        born = harness.open(young)

        assert back.body["code"] in ENDED
        assert again.status == 429
        assert 1 <= waits(again) <= DAY
        assert reused.status in (404, 409, 410)
        assert harness.approve(young, born).status == 200
        harness.wait_until_healthy()

        clocks.set_offset(tmp_path, "+1h")
        assert ahead(redis_process) == pytest.approx(3600, abs=60)
        forward = harness.shop.verify(old_phone, verification_id, right)

        assert forward.body["code"] in ENDED
        assert harness.approve(used_phone, used_id).body["code"] in ENDED
        harness.wait_until_healthy()

        clocks.set_offset(tmp_path, "+0")
        harness.end()


@contextmanager
def wrong_by(seconds: float) -> Iterator[Harness]:
    """Run a harness whose service has another time than its store and its provider."""
    with (
        running_redis(redis_binary()) as redis_process,
        Relay(redis_process.port) as relay,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("OTP_TEST_WRONG_BY", str(seconds))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(WRONG), *sys.path]))
        with running_on(redis_process, relay, f"redis://127.0.0.1:{relay.port}/0") as harness:
            patch.undo()
            yield harness


@pytest.mark.parametrize("seconds", [300.0, -300.0])
def test_f25_clock_of_the_service_does_not_change_the_lifetime_of_a_code(seconds: float) -> None:
    with wrong_by(seconds) as harness:
        phone = new_phone()
        sent = harness.shop.request(phone)
        verification_id = sent.body["verification_id"]

        assert sent.status == 201
        assert 290 <= sent.body["expires_in"] <= 300
        assert 50 <= sent.body["resend_in"] <= 60
        assert harness.shop.verify(phone, verification_id, "000000").body["attempts_left"] == 4
        assert harness.approve(phone, verification_id).status == 200
        assert logged_time(harness) - time.time() == pytest.approx(seconds, abs=60)
        skews = [json.loads(line) for line in harness.log().splitlines() if '"event":"clock_skew"' in line]
        assert [skew["seconds"] for skew in skews] == [pytest.approx(seconds, abs=30)]
        harness.end()


def test_f25_clock_that_the_provider_rejects_is_reported_and_uses_no_quota() -> None:
    with wrong_by(-1200) as harness:
        phone, before = new_phone(), harness.budget()

        refused = harness.shop.request(phone)

        assert (refused.status, refused.body["code"]) == (502, "provider_misconfigured")
        assert harness.sms(phone) == []
        assert harness.budget() == before
        assert eventually(lambda: '"provider_code":"InvalidTimeStamp.Expired"' in harness.log())
        assert eventually(lambda: '"event":"route_suspended"' in harness.log())
        assert eventually(lambda: '"event":"clock_skew"' in harness.log())


def logged_time(harness: Harness) -> float:
    """Return the time in the newest log line of the service."""
    assert eventually(lambda: '"event":"http_request"' in harness.log())
    line = json.loads(harness.log().splitlines()[-1])
    return datetime.fromisoformat(line["time"]).timestamp()
