"""Password rotation without a restart: the file is read for each new connection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.events import RecordingEvents
from support.redis_clusters import run_command
from support.redis_sentinels import running_sentinels
from support.redis_servers import Server, redis_binary, running
from support.store_backends import LONG_TIMEOUTS

from otp_service.domain.errors import StoreUnavailable
from otp_service.store.acl import sentinel_rules, server_rules
from otp_service.store.client import from_url
from otp_service.store.verifications import RedisStore

USER = "otp_service"


@pytest.fixture
def server() -> Iterator[Server]:
    with running(redis_binary()) as server:
        run_command(server, "ACL", "SETUSER", USER, "reset", "on", ">first", *server_rules())
        yield server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("first\n", encoding="utf-8")
    return path


@pytest.fixture
def stores(server: Server, file: Path) -> list[RedisStore]:
    """Three clients that have not connected yet."""
    url = f"redis://{USER}:of-no-use@127.0.0.1:{server.port}"
    return [
        RedisStore(from_url(url, replace(LONG_TIMEOUTS, password_file=file)), RecordingEvents())
        for _ in range(3)
    ]


def test_password_is_rotated_without_a_refused_call(
    server: Server, file: Path, stores: list[RedisStore]
) -> None:
    first, second, third = stores
    first.check_health()
    run_command(server, "ACL", "SETUSER", USER, ">second")
    second.check_health()
    file.write_text("second\n", encoding="utf-8")
    run_command(server, "ACL", "SETUSER", USER, "<first")

    for store in (third, first, second):
        store.check_health()


def test_wrong_password_is_read_again_at_the_next_call(file: Path, stores: list[RedisStore]) -> None:
    store = stores[0]
    file.write_text("wrong", encoding="utf-8")
    with pytest.raises(StoreUnavailable):
        store.check_health()
    file.unlink()
    with pytest.raises(StoreUnavailable):
        store.check_health()

    file.write_text("first", encoding="utf-8")
    store.check_health()


def test_password_of_the_default_user_may_be_in_a_file(server: Server, file: Path) -> None:
    run_command(server, "CONFIG", "SET", "requirepass", "first")

    RedisStore(
        from_url(f"redis://127.0.0.1:{server.port}", replace(LONG_TIMEOUTS, password_file=file)),
        RecordingEvents(),
    ).check_health()


def test_sentinels_may_require_a_password_too(file: Path) -> None:
    with running_sentinels(redis_binary(), replicas=0, sentinels=1) as setup:
        run_command(setup.sentinels[0], "ACL", "SETUSER", USER, "reset", "on", ">first", *sentinel_rules())
        run_command(setup.sentinels[0], "ACL", "SETUSER", "default", "off")
        known = replace(LONG_TIMEOUTS, sentinel_username=USER, sentinel_password_file=file)

        RedisStore(from_url(setup.url(), known), RecordingEvents()).check_health()
        with pytest.raises(StoreUnavailable):
            RedisStore(from_url(setup.url(), LONG_TIMEOUTS), RecordingEvents()).check_health()
