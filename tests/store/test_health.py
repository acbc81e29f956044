"""Which servers may hold the service's memory, by what they say of themselves."""

from __future__ import annotations

import pytest

from otp_service.store import health

FIT = {"maxmemory_policy": "noeviction", "role": "master", "redis_version": "7.0.15"}


def unfitness(info: dict[str, str], replicas: int = 0, *, in_cluster: bool = False) -> str | None:
    return health.unsuitability(info, replicas, in_cluster=in_cluster)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"redis_version": "7.4.1"},
        {"redis_version": "8.0.0"},
        {"redis_version": "7.2.4", "valkey_version": "9.0.0"},
        {"redis_version": "6.9.9", "valkey_version": "8.0.0"},
    ],
    ids=str,
)
def test_a_sound_server_is_fit(changes: dict[str, str]) -> None:
    assert unfitness({**FIT, **changes}) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, "evicts"),
        ({"maxmemory_policy": "volatile-ttl"}, "evicts"),
        # One that takes writes all the same would keep them to itself.
        ({"role": "slave"}, "replica"),
        ({"redis_version": "6.2.20"}, "too old"),
        ({"cluster_enabled": "1"}, "part of a cluster"),
    ],
    ids=str,
)
def test_an_unsound_server_is_told_by_its_reason(changes: dict[str, str], reason: str) -> None:
    assert reason in (unfitness({**FIT, **changes}) or "")


@pytest.mark.parametrize("silent", FIT)
def test_a_server_that_does_not_say_is_not_fit(silent: str) -> None:
    assert unfitness({name: value for name, value in FIT.items() if name != silent})


def test_a_server_needs_the_replicas_that_writes_wait_for() -> None:
    info = {**FIT, "connected_slaves": "1"}

    assert unfitness(info, 1) is None
    assert "fewer replicas" in (unfitness(info, 2) or "")


def test_a_part_of_a_cluster_is_fit_for_one() -> None:
    assert unfitness({**FIT, "cluster_enabled": "1"}, in_cluster=True) is None
