"""The schema version in Redis: the highest one in use wins, and a process that cannot read it stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.events import RecordingEvents
from support.redis_servers import Server
from support.store_backends import Backend
from support.waiting import wait_until

from otp_service.domain.errors import StoreUnavailable
from otp_service.store import keys, schema
from otp_service.store.backend import RedisNode
from otp_service.store.diagnosis import diagnose
from otp_service.store.redis_client import RedisClient
from otp_service.store.schema import SchemaGuard, SchemaVersion, StoreSchemaNewer, newer_version
from otp_service.store.scripts import Call

KEY = keys.schema()
RETENTION_MS = schema.RETENTION * 1000
FIRST, SECOND, THIRD = SchemaVersion(1, 1), SchemaVersion(2, 1), SchemaVersion(3, 2)
"""Version 2 can run together with 1, and version 3 only with 2."""

SOME_CALL = Call("global_failures", [keys.global_failures(1)], [0, 0])


@pytest.fixture(autouse=True)
def no_version_in_use(backend: Backend) -> Iterator[None]:
    backend.client.delete(KEY)
    yield
    backend.client.delete(KEY)


@pytest.fixture
def release(backend: Backend) -> Callable[[SchemaVersion], tuple[RedisClient, RecordingEvents]]:
    """Return a process of the release with a schema version, and its events."""

    def start(version: SchemaVersion, job: str = "") -> tuple[RedisClient, RecordingEvents]:
        events = RecordingEvents()
        servers = backend.servers or backend.client
        return RedisClient(servers, events, shebang=backend.shebang, schema=version, job=job), events

    return start


Release = Callable[..., tuple[RedisClient, RecordingEvents]]


def schema_warnings(events: RecordingEvents) -> list[dict[str, object]]:
    return [facts for name, facts in events.emitted if name == "store_schema_newer"]


def probe(client: RedisClient) -> None:
    """Check as `/readyz` does; without the check of the servers, which fakeredis does not support."""
    client._check_schema("readiness")


def test_process_declares_its_version_with_a_ttl(release: Release, backend: Backend) -> None:
    probe(release(SECOND)[0])

    assert backend.client.get(KEY) == b"2 1"
    assert RETENTION_MS - 60_000 < backend.client.pttl(KEY) <= RETENTION_MS


def test_counters_declare_it_too(release: Release, backend: Backend) -> None:
    release(FIRST)[0].run_counter_scripts([SOME_CALL])

    assert backend.client.get(KEY) == b"1 1"


def test_each_check_extends_the_ttl(release: Release, backend: Backend) -> None:
    client, _ = release(FIRST)
    probe(client)
    backend.client.pexpire(KEY, 1_000)
    probe(client)

    assert backend.client.pttl(KEY) > 1_000


def test_newer_process_raises_the_version_and_the_older_one_that_can_read_it_works(
    release: Release, backend: Backend
) -> None:
    older, events = release(FIRST)
    probe(older)
    probe(release(SECOND)[0])
    probe(older)

    assert backend.client.get(KEY) == b"2 1", "never lowered"
    assert older.run_scripts([SOME_CALL])
    assert schema_warnings(events) == []


def test_older_process_does_not_extend_the_ttl_of_a_newer_version(release: Release, backend: Backend) -> None:
    older, _ = release(FIRST)
    probe(release(SECOND)[0])
    backend.client.pexpire(KEY, 1_000)
    probe(older)

    assert 0 < backend.client.pttl(KEY) <= 1_000


def test_version_expires_after_a_rollback(release: Release, backend: Backend) -> None:
    older, _ = release(FIRST)
    probe(release(SECOND)[0])
    backend.client.pexpire(KEY, 1)
    wait_until(lambda: not backend.client.exists(KEY))
    probe(older)

    assert backend.client.get(KEY) == b"1 1"


def test_process_that_cannot_read_a_newer_version_rejects_every_call(
    release: Release, backend: Backend
) -> None:
    older, events = release(FIRST)
    older.run_counter_scripts([SOME_CALL])
    probe(release(THIRD)[0])
    for _ in range(3):
        with pytest.raises(StoreSchemaNewer):
            probe(older)
    before = len(events.emitted)
    with pytest.raises(StoreUnavailable) as rejection:
        older.run_scripts([SOME_CALL])

    assert rejection.value.members() == {"retry_after": 2}, "callers do not learn why"
    assert len(events.emitted) == before, "nothing was sent to Redis"
    with pytest.raises(StoreSchemaNewer):
        older.run_counter_scripts([SOME_CALL])
    assert schema_warnings(events) == [{"schema": 3, "oldest_schema": 2, "own_schema": 1}]
    assert backend.client.get(KEY) == b"3 2"


def test_process_serves_again_after_the_newer_version_expired_and_warns_of_the_next(
    release: Release, backend: Backend
) -> None:
    older, events = release(FIRST)
    for value in (b"3 2", b"4 4", b"3 2"):
        backend.client.set(KEY, value, px=60_000)
        with pytest.raises(StoreSchemaNewer):
            probe(older)
    backend.client.delete(KEY)
    older.run_counter_scripts([SOME_CALL])

    assert older.run_scripts([SOME_CALL])
    assert [facts["schema"] for facts in schema_warnings(events)] == [3, 4, 3]
    backend.client.set(KEY, b"3 2", px=60_000)
    with pytest.raises(StoreSchemaNewer):
        probe(older)
    assert len(schema_warnings(events)) == 4


@pytest.mark.parametrize("value", [b"9", b"2 1 more", b"", b"two", b"-1 1", b"9999999999 1"])
def test_value_of_another_form_is_from_a_newer_release(
    release: Release, backend: Backend, value: bytes
) -> None:
    older, events = release(FIRST)
    backend.client.set(KEY, value, px=60_000)
    with pytest.raises(StoreSchemaNewer):
        probe(older)

    assert backend.client.get(KEY) == value
    assert schema_warnings(events) == [{"schema": None, "oldest_schema": None, "own_schema": 1}]


def test_report_worker_stops_too(release: Release, backend: Backend) -> None:
    worker, events = release(FIRST, job="reports")
    assert worker.run_scripts([SOME_CALL])
    assert backend.client.get(KEY) == b"1 1"
    backend.client.set(KEY, b"3 2", px=60_000)
    with pytest.raises(StoreSchemaNewer):
        probe(worker)
    with pytest.raises(StoreSchemaNewer):
        worker.run_scripts([SOME_CALL])
    backend.client.delete(KEY)

    assert worker.run_scripts([SOME_CALL])
    assert len(schema_warnings(events)) == 1


# ── without Redis ──


@pytest.mark.parametrize(
    ("value", "newer"),
    [
        (None, None),
        (b"1 1", None),
        (b"2 1", None),
        (b"2 2", None),
        (b"3 2", None),
        (b"3 3", SchemaVersion(3, 3)),
        (b"10 9", SchemaVersion(10, 9)),
        (b"x", schema.UNKNOWN),
    ],
)
def test_versions_that_may_run_together_with_version_two(
    value: bytes | None, newer: SchemaVersion | None
) -> None:
    assert newer_version(value, SECOND) == newer


def test_this_release_can_run_together_with_itself() -> None:
    assert schema.OLDEST_COMPATIBLE_SCHEMA <= schema.STORE_SCHEMA
    assert newer_version(f"{schema.STORE_SCHEMA} {schema.OLDEST_COMPATIBLE_SCHEMA}".encode()) is None


def test_background_work_checks_every_few_seconds() -> None:
    now = [100.0]
    guard = SchemaGuard(RecordingEvents(), monotonic=lambda: now[0])
    due = [guard.is_due]
    guard.call()
    for seconds in (0, schema.CHECK_SECONDS - 1, 1):
        now[0] += seconds
        due.append(guard.is_due)

    assert due == [True, False, False, True]


def test_members_of_the_problem_say_why() -> None:
    assert StoreSchemaNewer().members() == {"retry_after": 2, "reason": "store_schema_newer"}
    assert StoreSchemaNewer.code == "store_unavailable"


def test_retention_covers_the_life_of_a_verification() -> None:
    from otp_service.domain.limits import MAX_VERIFICATION_LIFETIME  # noqa: PLC0415
    from otp_service.domain.verification import ENDED_RETENTION  # noqa: PLC0415

    assert schema.RETENTION > MAX_VERIFICATION_LIFETIME + ENDED_RETENTION


# ── what operators see ──


def test_newer_version_is_diagnosed(redis_server: Server) -> None:
    with redis_server.client() as client:
        node: Any = RedisNode(client)
        client.delete(KEY)
        without = diagnose(node, 0)
        client.set(KEY, b"8 7", px=60_000)
        newer = diagnose(node, 0)
        client.set(KEY, b"x", px=60_000)
        unknown = diagnose(node, 0)
        client.delete(KEY)

    assert without is None
    assert newer is not None
    assert "store_schema_newer: schema 8, ours is 1" in newer.seen
    assert "docs/upgrading.md#roll-back" in newer.fix
    assert not newer.is_unsuitable, "a process starts, and serves when the version has expired"
    assert unknown is not None
    assert "schema unknown" in unknown.seen
