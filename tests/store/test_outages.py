"""Outages: background work logs only when the store begins to fail and when it works again."""

from __future__ import annotations

import pytest
from faults.redis_process import running_redis
from support.events import RecordingEvents
from support.redis_servers import closed_port, redis_binary, running

from otp_service.domain.errors import StoreUnavailable
from otp_service.store import keys
from otp_service.store.client import client_from_url
from otp_service.store.redis_client import Outages
from otp_service.store.scripts import Call
from otp_service.store.verifications import RedisStore

NOTHING = Call("global_failures", [keys.global_failures(1)], [0, 0])

LOUD = {"redis_outage", "redis_error"}


def loud(events: RecordingEvents) -> list[tuple[str, object, object]]:
    return [(name, facts.get("state"), facts.get("job")) for name, facts in events.emitted if name in LOUD]


def failing(store: RedisStore, times: int) -> None:
    for _ in range(times):
        for job in (lambda: store.redis.run_counter_scripts([NOTHING]), store.check_health):
            with pytest.raises(StoreUnavailable):
                job()


def test_idle_service_logs_two_lines_for_an_outage() -> None:
    events = RecordingEvents()
    with running_redis(redis_binary()) as keeper:
        store = RedisStore(client_from_url(f"redis://127.0.0.1:{keeper.port}/0"), events)
        keeper.kill()
        failing(store, 5)
        during = loud(events)
        keeper.start()
        store.redis.run_counter_scripts([NOTHING])
        store.check_health()
        store.redis.run_counter_scripts([NOTHING])

    assert during == [("redis_outage", "began", "counters")]
    assert loud(events) == [*during, ("redis_outage", "ended", "readiness")]
    assert len([name for name, _ in events.emitted if name == "background_redis_error"]) == 10


def test_call_of_the_api_logs_each_failure_of_its_own() -> None:
    events = RecordingEvents()
    store = RedisStore(client_from_url(f"redis://127.0.0.1:{closed_port()}/0"), events)
    failing(store, 1)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            store.unlock("t" * 16)

    assert [name for name, *_ in loud(events)] == ["redis_outage", "redis_error", "redis_error"]


def test_store_of_a_report_worker_logs_an_outage_and_not_each_report() -> None:
    events = RecordingEvents()
    store = RedisStore(client_from_url(f"redis://127.0.0.1:{closed_port()}/0"), events, job="reports")
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            store.unlock("t" * 16)

    assert loud(events) == [("redis_outage", "began", "reports")]


def test_unsuitable_store_is_an_outage_only_for_readiness() -> None:
    events = RecordingEvents()
    with running(redis_binary(), "--maxmemory-policy", "allkeys-lru") as server, server.client() as client:
        store = RedisStore(client_from_url(server.url), events)
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                store.check_health()
            store.redis.run_counter_scripts([NOTHING])
        client.config_set("maxmemory-policy", "noeviction")
        store.check_health()

    assert loud(events) == [("redis_outage", "began", "readiness"), ("redis_outage", "ended", "readiness")]


def test_end_of_an_outage_has_its_duration() -> None:
    events, now = RecordingEvents(), iter([100.0, 190.4])
    outages = Outages(events, lambda: next(now))
    outages.failed("counters", "TimeoutError")
    outages.failed("counters", "TimeoutError")
    outages.succeeded("counters")
    outages.succeeded("counters")

    assert events.emitted[-1] == ("redis_outage", {"state": "ended", "job": "counters", "seconds": 90})
