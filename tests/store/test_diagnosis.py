"""Diagnosis: check-config and doctor name why a real Redis cannot be used, without its password."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from store.test_tls import Authority, authority, serving_tls
from support.deployment import config_text, make_secrets
from support.redis_clusters import run_command
from support.redis_sentinels import NAME, running_sentinel
from support.redis_servers import Server, closed_port, free_port, redis_binary, running

from otp_service.cli.main import main
from otp_service.store.acl import server_rules

PASSWORD = "SENTINEL-password-of-redis"


@dataclass
class Bench:
    """A configuration with a variable Redis URL, and the output of the commands for it."""

    path: Path

    def use_url(self, url: str, *more: str) -> None:
        """Write a configuration with this Redis URL, and the lines *more* in `[redis]`."""
        text = config_text(url, "http://127.0.0.1:1", free_port(), make_secrets())
        redis = "\n".join(("[redis]", "connect_timeout = 0.3", "read_timeout = 0.3", *more))
        self.path.write_text(text.replace("[redis]", redis), encoding="utf-8")

    def check_config_issue(self) -> str:
        """Return the only issue that check-config reports."""
        result = CliRunner().invoke(main, ["check-config", "--config", str(self.path)])
        assert PASSWORD not in result.output
        head, *lines = result.stderr.splitlines()
        assert (result.exit_code, head, len(lines)) == (1, "The configuration has 1 error:", 1), result.output
        return lines[0].strip().removeprefix("redis.url: ")

    def doctor_problems(self) -> list[tuple[str, str]]:
        """Return the problems that doctor finds with Redis, each with its fix."""
        result = CliRunner().invoke(main, ["doctor", "--json", "--route", "main", "--config", str(self.path)])
        assert PASSWORD not in result.output
        findings = json.loads(result.output)["checks"]
        return [
            (finding["message"], finding["fix"])
            for finding in findings
            if finding["check"] == "redis" and finding["status"] == "fail"
        ]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "config.toml")


def assert_explained(bench: Bench, issue: str, fix: str) -> None:
    """Assert that both commands report this issue, and doctor this fix."""
    assert bench.check_config_issue() == issue
    ((reported, reported_fix),) = bench.doctor_problems()
    assert reported == issue
    assert reported_fix.startswith(fix)


@pytest.fixture(scope="module")
def protected() -> Iterator[Server]:
    """A Redis whose default user has a password, with a user for the service and one with few permissions."""
    with running(redis_binary()) as server:
        run_command(server, "ACL", "SETUSER", "otp", "reset", "on", f">{PASSWORD}", *server_rules())
        few = ["~otp:*", "+info", "+set", "+select"]
        run_command(server, "ACL", "SETUSER", "few", "reset", "on", f">{PASSWORD}", *few)
        run_command(server, "ACL", "SETUSER", "none", "reset", "on", f">{PASSWORD}", "~otp:*")
        keys = [rule.replace("~otp:", "~other:") for rule in server_rules()]
        run_command(server, "ACL", "SETUSER", "elsewhere", "reset", "on", f">{PASSWORD}", *keys)
        run_command(server, "ACL", "SETUSER", "default", f">{PASSWORD}")
        restarted = server  # the connection of `run_command` is closed; new ones must log in
        yield restarted


def test_right_password_is_no_issue(bench: Bench, protected: Server) -> None:
    bench.use_url(f"redis://otp:{PASSWORD}@127.0.0.1:{protected.port}")

    assert CliRunner().invoke(main, ["check-config", "--config", str(bench.path)]).exit_code == 0


@pytest.mark.parametrize(
    ("login", "issue", "fix"),
    [
        (
            f"otp:{PASSWORD}x@",
            "refuses the user name or the password (WRONGPASS)",
            "Compare user and password",
        ),
        (
            f"unknown:{PASSWORD}@",
            "refuses the user name or the password (WRONGPASS)",
            "Compare user and password",
        ),
        (
            "",
            "requires a password, and none is configured (NOAUTH)",
            "Put the password into redis.password_file",
        ),
        (
            f"none:{PASSWORD}@",
            "does not allow its user to run SET (NOPERM)",
            "Give the ACL user what `otp-service redis-acl` prints.",
        ),
        (
            f"few:{PASSWORD}@",
            "does not allow its user to run EVAL (NOPERM)",
            "Give the ACL user what `otp-service redis-acl` prints.",
        ),
        (
            f"elsewhere:{PASSWORD}@",
            "does not allow its user to use the keys of this service (NOPERM)",
            "Give the ACL user what `otp-service redis-acl` prints.",
        ),
    ],
    ids=["password", "user", "no password", "no command", "no scripts", "no keys"],
)
def test_refused_login_is_explained(
    bench: Bench, protected: Server, login: str, issue: str, fix: str
) -> None:
    bench.use_url(f"redis://{login}127.0.0.1:{protected.port}")

    assert_explained(bench, issue, fix)


def test_wrong_password_in_a_file_is_explained(bench: Bench, protected: Server, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}-old\n", encoding="utf-8")
    bench.use_url(f"redis://otp@127.0.0.1:{protected.port}", f'password_file = "{tmp_path / "password"}"')

    assert_explained(bench, "refuses the user name or the password (WRONGPASS)", "Compare user and password")


def test_unneeded_password_is_explained(bench: Bench, redis_server: Server) -> None:
    bench.use_url(f"redis://:{PASSWORD}@127.0.0.1:{redis_server.port}")

    assert_explained(
        bench, "has no password for this user, but one is configured", "Set the password in Redis"
    )


def test_refused_connection_is_explained(bench: Bench) -> None:
    bench.use_url(f"redis://127.0.0.1:{closed_port()}")

    assert_explained(bench, "names a host and port where nothing listens (connection refused)", "Start Redis")


def test_host_without_an_address_is_explained(bench: Bench) -> None:
    bench.use_url("redis://no-such-host.invalid")

    assert_explained(bench, "names a host that has no address (DNS)", "Correct the host in redis.url")


def test_missing_socket_is_explained(bench: Bench, tmp_path: Path) -> None:
    bench.use_url(f"unix://{tmp_path}/redis.sock")

    assert_explained(bench, "names a socket that does not exist", "Start Redis")


def test_missing_database_is_explained(bench: Bench, redis_server: Server) -> None:
    bench.use_url(f"redis://127.0.0.1:{redis_server.port}/99")

    assert_explained(bench, "has no database with this number", "Correct the number")


def test_single_server_instead_of_a_cluster_is_explained(bench: Bench, redis_server: Server) -> None:
    bench.use_url(f"redis+cluster://127.0.0.1:{redis_server.port}")

    assert_explained(bench, "is not a cluster", "Use a redis.url that begins with redis://")


def test_replica_is_explained(bench: Bench, redis_server: Server) -> None:
    with running(
        redis_binary(), "--replicaof", f"127.0.0.1 {redis_server.port}", "--replica-read-only", "no"
    ) as it:
        bench.use_url(it.url)

        assert bench.check_config_issue() == "Redis is a replica: connect to its master."


def test_read_only_replica_is_explained(bench: Bench, redis_server: Server) -> None:
    with running(redis_binary(), "--replicaof", f"127.0.0.1 {redis_server.port}") as replica:
        bench.use_url(replica.url)

        assert bench.check_config_issue() == "is a replica, which rejects writes (READONLY)"


def test_full_memory_is_explained(bench: Bench) -> None:
    with running(redis_binary(), "--maxmemory", "1", "--maxmemory-policy", "noeviction") as server:
        bench.use_url(server.url)

        assert_explained(bench, "rejects writes because its memory is full (OOM)", "Raise maxmemory")


# ── Sentinels ──


def test_unknown_master_is_explained(bench: Bench, redis_server: Server) -> None:
    watched = f"sentinel monitor {NAME} 127.0.0.1 {redis_server.port} 1"
    with running_sentinel(redis_binary(), watched) as sentinel:
        bench.use_url(f"redis+sentinel://127.0.0.1:{sentinel.port}/{NAME}x")

        assert_explained(bench, "leads to Sentinels that know no master of this name", "Compare the name")


def test_unreachable_sentinel_is_explained(bench: Bench) -> None:
    bench.use_url(f"redis+sentinel://127.0.0.1:{closed_port()}/main")

    assert_explained(
        bench,
        "leads to Sentinels that cannot be queried; "
        "one of them names a host and port where nothing listens (connection refused)",
        "Start Redis",
    )


# ── TLS ──


@pytest.fixture(scope="module")
def trusted_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def tls(trusted_authority: Authority) -> Iterator[tuple[Server, int]]:
    with serving_tls(trusted_authority) as serving:
        yield serving


def test_certificate_of_an_unknown_authority_is_explained(bench: Bench, tls: tuple[Server, int]) -> None:
    bench.use_url(f"rediss://127.0.0.1:{tls[1]}")

    assert bench.check_config_issue().startswith("has an invalid certificate: ")
    ((_, fix),) = bench.doctor_problems()
    assert fix == "Check redis.ca_file, and the names in the certificate of Redis."


def test_missing_tls_is_explained_for_both_sides(
    bench: Bench, tls: tuple[Server, int], trusted_authority: Authority
) -> None:
    server, port = tls
    bench.use_url(f"rediss://127.0.0.1:{server.port}", f'ca_file = "{trusted_authority.ca}"')
    to_a_plain_port = bench.check_config_issue()
    bench.use_url(f"redis://127.0.0.1:{port}")

    assert to_a_plain_port.startswith(
        ("does not agree on TLS", "ends the connection", "does not answer in time")
    )
    assert (
        bench.check_config_issue()
        == "closes the connection without an answer: perhaps it expects TLS, or is not Redis"
    )


def test_missing_client_certificate_is_explained(bench: Bench, trusted_authority: Authority) -> None:
    with serving_tls(trusted_authority, "--tls-auth-clients", "yes") as (_, port):
        bench.use_url(f"rediss://127.0.0.1:{port}", f'ca_file = "{trusted_authority.ca}"')

        assert bench.check_config_issue().startswith(("fails in the TLS handshake", "closes the connection"))


# ── servers that send one fixed reply ──


@contextmanager
def saying(reply: bytes | None) -> Iterator[int]:
    """Listen on a port and send *reply* to every request; None sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as connections:

        def serve() -> None:
            while True:
                try:
                    connection = connections.enter_context(listening.accept()[0])
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            try:
                while connection.recv(4096) and reply:
                    connection.sendall(reply)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    ("reply", "issue"),
    [
        (None, "does not answer in time"),
        (b"-LOADING Redis is loading the dataset in memory\r\n" * 2, "is still loading its data (LOADING)"),
        (
            b"-MISCONF Redis is configured to save RDB snapshots, but is unable to.\r\n" * 2,
            "rejects writes because it cannot write to its disk (MISCONF)",
        ),
        (
            b"-NOREPLICAS Not enough good replicas to write.\r\n" * 2,
            "rejects writes because it has too few replicas (NOREPLICAS)",
        ),
        (
            b"-ERR max number of clients reached\r\n" * 2,
            "accepts no more connections (max number of clients reached)",
        ),
        (
            b"-DENIED Redis is running in protected mode because protected mode is enabled\r\n" * 2,
            "is in protected mode and accepts only local connections (DENIED)",
        ),
        (
            b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n" * 2,
            "is a replica that has lost its master (MASTERDOWN)",
        ),
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "answers, but is not Redis"),
        (b"220 mail.example.com ESMTP\r\n", "answers, but is not Redis"),
    ],
    ids=["silence", "loading", "disk", "replicas", "clients", "protected", "stale", "http", "smtp"],
)
def test_response_of_another_server_is_explained(bench: Bench, reply: bytes | None, issue: str) -> None:
    with saying(reply) as port:
        bench.use_url(f"redis://127.0.0.1:{port}")

        assert bench.check_config_issue() == issue


def test_invalid_url_is_reported_offline_too(bench: Bench) -> None:
    bench.use_url("redis://one,two")

    result = CliRunner().invoke(main, ["check-config", "--offline", "--config", str(bench.path)])

    assert result.exit_code == 1
    assert "redis.url: " in result.stderr
