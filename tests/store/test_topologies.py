"""The operator's commands work alike with one server, with Sentinels and with a cluster."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.deployment import config_text, make_secrets
from support.events import RecordingEvents
from support.redis_clusters import Cluster, run_command
from support.redis_sentinels import SentinelSetup, running_sentinels
from support.redis_servers import Server, free_port, redis_binary
from support.store_backends import LONG_TIMEOUTS

from otp_service.cli.main import main
from otp_service.store import keys, schema
from otp_service.store.client import from_url
from otp_service.store.schema import StoreSchemaNewer
from otp_service.store.verifications import RedisStore

PHONE = "+8613800138000"

PATIENCE = "connect_timeout = 5\nread_timeout = 5"
"""Long enough for a busy machine."""


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=typed)


@pytest.fixture(scope="module")
def sentinel_setup() -> Iterator[SentinelSetup]:
    with running_sentinels(redis_binary(), replicas=1, sentinels=1) as sentinel_setup:
        yield sentinel_setup


@pytest.fixture(params=["sentinel", "cluster"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "cluster":
        cluster: Cluster = request.getfixturevalue("redis_cluster")
        return cluster.url()
    sentinel_setup: SentinelSetup = request.getfixturevalue("sentinel_setup")
    return sentinel_setup.url()


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], str]:
    def write(url: str, more: str = "") -> str:
        path = tmp_path / "config.toml"
        text = config_text(url, "http://127.0.0.1:1", free_port(), make_secrets())
        path.write_text(text.replace("[log]", f"{more}\n{PATIENCE}\n[log]"), encoding="utf-8")
        return str(path)

    return write


def test_check_config_accepts_a_valid_configuration(config: Callable[..., str], url: str) -> None:
    result = run("check-config", "--config", config(url))

    assert (result.exit_code, result.output) == (0, "The configuration is fit for production.\n")


def test_readiness_and_check_config_see_the_version_of_a_newer_release(
    config: Callable[..., str], url: str
) -> None:
    events = RecordingEvents()
    store = RedisStore(from_url(url, LONG_TIMEOUTS), events)
    store.check_health()
    in_use = store.redis.run_commands([("GET", keys.schema())])
    store.redis.run_commands([("SET", keys.schema(), b"9 8", "PX", 60_000)])
    with pytest.raises(StoreSchemaNewer):
        store.check_health()
    result = run("check-config", "--config", config(url))
    store.redis.run_commands([("UNLINK", keys.schema())])
    store.check_health()

    assert in_use == [b"%d %d" % (schema.STORE_SCHEMA, schema.OLDEST_COMPATIBLE_SCHEMA)]
    assert [name for name, _ in events.emitted if name != "redis_roundtrip"] == ["store_schema_newer"]
    assert result.exit_code == 1
    assert "store_schema_newer: schema 9, ours is 1" in result.stderr


def test_check_config_reports_too_few_replicas(config: Callable[..., str], redis_cluster: Cluster) -> None:
    result = run("check-config", "--config", config(redis_cluster.url(), "min_replica_acks = 1"))

    assert result.exit_code == 1
    assert "has fewer replicas than redis.min_replica_acks (1)" in result.stderr


@pytest.mark.parametrize(
    "url",
    ["redis+sentinel://127.0.0.1:1,127.0.0.1:2/main", "redis+cluster://127.0.0.1:1,127.0.0.1:2"],
)
def test_check_config_reports_a_refused_connection(config: Callable[..., str], url: str) -> None:
    result = run("check-config", "--config", config(url))

    assert result.exit_code == 1
    (issue,) = result.stderr.splitlines()[1:]
    assert issue.startswith("  redis.url: ")
    assert issue.endswith("names a host and port where nothing listens (connection refused)")


def test_check_config_reports_an_unknown_master(
    config: Callable[..., str], sentinel_setup: SentinelSetup
) -> None:
    result = run("check-config", "--config", config(sentinel_setup.url().replace("/otp-master", "/other")))

    assert result.exit_code == 1
    assert "redis.url" in result.stderr


def test_doctor_counts_the_servers(
    config: Callable[..., str], redis_cluster: Cluster, sentinel_setup: SentinelSetup
) -> None:
    seen = [findings(config(leading)) for leading in (redis_cluster.url(), sentinel_setup.url())]

    assert "servers that accept writes: 3, replicas of each: 0" in seen[0]
    assert "servers that accept writes: 1, replicas of each: 1" in seen[1]
    assert all("accepts writes and runs the scripts" in texts for texts in seen)


def findings(config: str) -> list[str]:
    report = json.loads(run("doctor", "--config", config, "--json").stdout)
    return [finding["message"] for finding in report["checks"] if finding["check"] == "redis"]


def test_operator_finds_and_erases_a_phone_on_any_server(config: Callable[..., str], url: str) -> None:
    path = config(url)

    shown = run("limits", "--config", path, "--json", typed=PHONE)
    erased = run("erase-phone", "--config", path, "--yes", typed=PHONE)

    assert json.loads(shown.stdout)["next_sms_in"] == 0
    assert erased.exit_code == 0


# ── redis-acl ──


def test_acl_line_makes_a_user_for_the_service(
    config: Callable[..., str], redis_server: Server, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n", encoding="utf-8")
    line = run("redis-acl", "--username", "printed", "--password-file", str(secret)).stdout
    run_command(redis_server, *line.split())
    url = f"redis://printed@127.0.0.1:{redis_server.port}/3"

    result = run("check-config", "--config", config(url, f'password_file = "{secret}"'))

    assert (result.exit_code, result.output) == (0, "The configuration is fit for production.\n")
    path = config(url, f'password_file = "{secret}"')
    for command in (
        ("alarm", "--clear", "--yes"),
        ("limits", "--clear", "--yes"),
        ("limits", "--clear", "--yes", "--address", "203.0.113.7"),
        ("history",),
        ("unlock",),
        ("erase-phone", "--yes"),
    ):
        assert run(*command, "--config", path, typed=PHONE).exit_code == 0, command
    assert "s3cret" not in line
    assert hashlib.sha256(b"s3cret").hexdigest() in line


@pytest.mark.parametrize(
    ("password", "error"),
    [
        pytest.param(b"\n", "names a file whose text is empty", id="empty"),
        pytest.param(b"s3cret\n2nd\n", "names a file whose text contains more than one line", id="two-lines"),
        pytest.param(b"\xff\xfes\0", "names a file that is not UTF-8 text but UTF-16", id="utf-16"),
    ],
)
def test_acl_line_needs_one_password(tmp_path: Path, password: bytes, error: str) -> None:
    secret = tmp_path / "password"
    secret.write_bytes(password)

    result = run("redis-acl", "--password-file", str(secret))

    assert (result.exit_code, result.stdout) == (2, "")
    assert f"--password-file: {error}" in " ".join(result.stderr.split())
    assert "s3cret" not in result.output


@pytest.mark.parametrize("username", ["", "two words", "otp_service +@all", "名"])
def test_acl_line_needs_one_username(username: str) -> None:
    result = run("redis-acl", "--username", username)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--username: must be ASCII without spaces" in result.stderr


def test_acl_line_without_a_password_has_a_placeholder() -> None:
    assert run("redis-acl").stdout.startswith("ACL SETUSER otp_service reset on >PASSWORD resetkeys ~otp:* ")


def test_acl_line_for_sentinels_makes_a_user_that_finds_the_master(sentinel_setup: SentinelSetup) -> None:
    line = run("redis-acl", "--sentinel").stdout
    run_command(sentinel_setup.sentinels[0], *line.split())

    with sentinel_setup.sentinels[0].client(username="otp_service", password="PASSWORD") as client:
        assert client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", "otp-master")
