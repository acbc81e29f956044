"""Readiness and liveness while something is wrong with a provider, or with Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from support import redis_servers
from support.deployment import Deployment, new_phone, running_service
from support.redis_servers import Server
from support.waiting import eventually

from otp_service.store import keys, schema

OUT_OF_SERVICE = "+8613800001006"
"""A magic number of the sandbox whose refusal an operator must mend."""


@pytest.fixture
def redis_server() -> Iterator[Server]:
    """A Redis of each test's own, which the test may break."""
    with redis_servers.running(redis_servers.redis_binary()) as server:
        yield server


@pytest.fixture
def service(redis_server: Server, tmp_path: Path) -> Iterator[Deployment]:
    with running_service(redis_server, tmp_path) as running:
        yield running


def is_ready(service: Deployment) -> bool:
    return service.get("/readyz").status == 200


def test_misconfigured_route_is_shown_and_the_service_stays_ready(service: Deployment) -> None:
    phone = new_phone()
    verification_id = service.request(phone).body["verification_id"]
    assert service.request(OUT_OF_SERVICE).status == 502
    seen = [service.get("/readyz") for _ in range(30)]

    assert {answer.status for answer in seen} == {200}
    assert ("degraded", "paused") in {
        (answer.body["status"], answer.body["routes"][0]["state"]) for answer in seen
    }
    assert service.verify(phone, verification_id, service.code(phone)).status == 200


@pytest.mark.parametrize(
    ("spoil", "mend"),
    [
        ({"maxmemory-policy": "allkeys-lru"}, {"maxmemory-policy": "noeviction"}),
        ({"maxmemory": "1"}, {"maxmemory": "0"}),
        ({"min-replicas-to-write": "1"}, {"min-replicas-to-write": "0"}),
    ],
    ids=["evicts", "full", "no-replicas"],
)
def test_unsuitable_store_makes_the_service_unready_until_it_is_fixed(
    service: Deployment, redis_server: Server, spoil: dict[str, str], mend: dict[str, str]
) -> None:
    with redis_server.client() as client:
        configure(client, spoil)
        answer = service.get("/readyz")
        alive = service.get("/healthz")
        configure(client, mend)

    assert (answer.status, answer.body["code"]) == (503, "store_unavailable")
    assert alive.status == 200
    assert eventually(lambda: is_ready(service), 10)


def configure(client: redis.Redis, values: dict[str, str]) -> None:
    for name, value in values.items():
        client.config_set(name, value)


# ── a newer release on the same Redis ──

UNREADABLE = f"{schema.STORE_SCHEMA + 2} {schema.STORE_SCHEMA + 1}"
"""The schema of a future release that this release cannot share Redis with."""


def test_not_ready_while_a_newer_release_writes_an_unreadable_schema(
    service: Deployment, redis_server: Server
) -> None:
    with redis_server.client() as client:
        assert is_ready(service)
        client.set(keys.schema(), UNREADABLE, ex=600)
        unready, alive = service.get("/readyz"), service.get("/healthz")
        kept = client.get(keys.schema())
        client.delete(keys.schema())
        ready = service.get("/readyz")
        written = client.get(keys.schema())

    assert (unready.status, unready.body["code"]) == (503, "store_unavailable")
    assert unready.body["reason"] == "store_schema_newer"
    assert unready.headers["Retry-After"] == "2"
    assert alive.status == 200
    assert kept == UNREADABLE.encode()
    assert ready.status == 200
    assert written == f"{schema.STORE_SCHEMA} {schema.OLDEST_COMPATIBLE_SCHEMA}".encode()


def test_all_workers_stop_serving_and_resume_without_a_probe(
    service: Deployment, redis_server: Server
) -> None:
    phone = new_phone()
    verification_id = service.request(phone).body["verification_id"]

    def logged() -> list[str]:
        lines = service.log.read_text().splitlines()
        return [line for line in lines if '"event":"store_schema_newer"' in line]

    with redis_server.client() as client:
        client.set(keys.schema(), UNREADABLE, ex=600)
        assert eventually(lambda: len(logged()) == 2, 15), "one line for each worker"
        rejected = [service.verify(phone, verification_id, service.code(phone)) for _ in range(6)]
        client.delete(keys.schema())
        approved = eventually(
            lambda: service.verify(phone, verification_id, service.code(phone)).status == 200, 15
        )

    assert {(answer.status, answer.body["code"]) for answer in rejected} == {(503, "store_unavailable")}
    assert not any("reason" in answer.body for answer in rejected), "only operators see the reason"
    assert approved
    assert len(logged()) == 2
    assert all('"level":"error"' in line for line in logged())
