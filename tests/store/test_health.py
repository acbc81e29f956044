"""Suitability of Redis servers, judged by their INFO."""

from __future__ import annotations

import pytest

from otp_service.store import health

FIT = {"maxmemory_policy": "noeviction", "role": "master", "redis_version": "7.0.15"}


def reason_of(info: dict[str, str], replicas: int = 0, *, in_cluster: bool = False) -> str | None:
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
def test_sound_server_is_suitable(changes: dict[str, str]) -> None:
    assert reason_of({**FIT, **changes}) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, "evicts"),
        ({"maxmemory_policy": "volatile-ttl"}, "evicts"),
        # A server that accepts writes nevertheless would not replicate them.
        ({"role": "slave"}, "replica"),
        ({"redis_version": "6.2.20"}, "too old"),
        ({"cluster_enabled": "1"}, "part of a cluster"),
    ],
    ids=str,
)
def test_unsuitable_server_has_its_reason(changes: dict[str, str], reason: str) -> None:
    assert reason in (reason_of({**FIT, **changes}) or "")


@pytest.mark.parametrize("silent", FIT)
def test_server_without_the_info_fields_is_unsuitable(silent: str) -> None:
    assert reason_of({name: value for name, value in FIT.items() if name != silent})


def test_server_needs_the_replicas_that_writes_wait_for() -> None:
    info = {**FIT, "connected_slaves": "1"}

    assert reason_of(info, 1) is None
    assert "fewer replicas" in (reason_of(info, 2) or "")


def test_cluster_member_is_suitable_in_a_cluster() -> None:
    assert reason_of({**FIT, "cluster_enabled": "1"}, in_cluster=True) is None
