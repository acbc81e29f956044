"""deploy/compose.yaml and the files that it mounts: checked, compared with each other, and run.

The service, Valkey and nginx run with these files, without containers. promtool checks those of Prometheus.
Those of Grafana are only read: no package contains it.
"""

from __future__ import annotations

import importlib.resources
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from support.deployment import (
    ACCESS_KEY_ID,
    ACCESS_KEY_SECRET,
    Deployment,
    Secrets,
    new_phone,
    stop,
    wait_until_ready,
)
from support.doc_blocks import ROOT, blocks
from support.dockerfile import stages
from support.proxies import running_proxy
from support.redis_servers import Server, free_port, skip_or_fail, valkey_binary
from support.waiting import eventually

from otp_service.domain.clients import key_digest
from otp_service.sandbox.config import DEFAULT_SIGN_NAME, SandboxConfig
from otp_service.sandbox.server import start_sandbox
from otp_service.settings import load

DEPLOY = ROOT / "deploy"
FILES = DEPLOY / "compose"
TEXT = (DEPLOY / "compose.yaml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
INSTANCES = ("otp-service-1", "otp-service-2")
OURS = (*INSTANCES, "reports")
SECRETS = tuple(COMPOSE["secrets"])
GROUP = stages()[-1].last("USER").text.partition(":")[2]


def read(name: str) -> Any:
    return yaml.safe_load((FILES / name).read_text("utf-8"))


def mounts(service: str) -> dict[str, str]:
    """Return what *service* mounts from files: path in the container → path outside."""
    pairs = [mount.split(":") for mount in SERVICES[service]["volumes"]]
    return {inside: outside for outside, inside, *_ in pairs if outside.startswith(".")}


def run(*command: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)


# ── the file itself ──


def test_file_follows_the_compose_specification() -> None:
    try:
        from jsonschema import validators  # noqa: PLC0415 - of the extra `deploy`, as the next

        folder = importlib.resources.files("check_jsonschema.builtin_schemas.vendor")
    except ModuleNotFoundError:
        skip_or_fail("check-jsonschema is not installed")
    schema = json.loads((folder / "compose-spec.json").read_text("utf-8"))
    kind = validators.validator_for(schema)

    assert [f"{error.json_path}: {error.message}" for error in kind(schema).iter_errors(COMPOSE)] == []
    broken = {**COMPOSE, "services": {"one": {"imagee": "x"}}}
    assert list(kind(schema).iter_errors(broken))


def test_only_nginx_is_published_and_grafana_on_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"nginx": ["443:443"], "grafana": ["127.0.0.1:3000:3000"]}
    assert [name for name, service in SERVICES.items() if "network_mode" in service] == []


@pytest.mark.parametrize("name", SERVICES)
def test_container_has_few_privileges(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert ("cap_add" in service) == (name == "nginx")
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_image_has_a_version(name: str) -> None:
    _, _, version = SERVICES[name]["image"].partition(":")

    assert version
    assert version != "latest"


def test_service_writes_to_tmp_only() -> None:
    for name in OURS:
        assert SERVICES[name]["tmpfs"] == ["/tmp:size=64m,mode=1777"]  # noqa: S108
        assert all(mount.endswith(":ro") for mount in SERVICES[name]["volumes"])


def test_mounted_files_exist_except_those_that_an_operator_creates() -> None:
    found = {path for name in SERVICES for path in mounts(name).values()}
    made = {path for path in found if "/certificates/" in path}

    assert len(made) == 2
    assert [path for path in found - made if not (DEPLOY / path).is_file()] == []
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"deploy/compose/certificates/", "deploy/compose/secrets/"} <= set(ignored)


def test_every_other_file_in_the_folder_is_mounted() -> None:
    used = {(DEPLOY / path).resolve() for name in SERVICES for path in mounts(name).values()}
    made = {FILES / "secrets", FILES / "certificates"}

    assert {path for path in FILES.rglob("*") if path.is_file() and not made & {*path.parents}} <= used


def test_secrets_are_files_and_no_password_is_in_the_files() -> None:
    assert {name: secret["file"] for name, secret in COMPOSE["secrets"].items()} == {
        name: f"./compose/secrets/{name}" for name in SECRETS
    }
    used_secrets = [name for service in SERVICES.values() for name in service.get("secrets", [])]
    assert set(used_secrets) == set(SECRETS)
    variables = [line for service in SERVICES.values() for line in service.get("environment", {}).items()]
    assert [name for name, _ in variables if "PASSWORD" in name] == ["GF_SECURITY_ADMIN_PASSWORD__FILE"]


def test_commands_in_the_docs_create_secrets(tmp_path: Path) -> None:
    """All except the AccessKey, which an operator writes. Only root can change the group of a file."""
    (text,) = [
        block.text for block in blocks("docs/deployment.md") if block.first_line.startswith("mkdir -p")
    ]
    (tmp_path / "chgrp").write_text('#!/bin/sh\necho "$@" > ../group\n')
    (tmp_path / "chgrp").chmod(0o755)
    result = run(
        "sh", "-euc", text, cwd=tmp_path, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    )
    made = tmp_path / "deploy" / "compose" / "secrets"

    assert result.returncode == 0, result.stderr
    assert {path.name for path in made.iterdir()} == set(SECRETS) - {"access_key_id", "access_key_secret"}
    assert {path.stat().st_mode & 0o777 for path in made.iterdir()} == {0o640}
    assert made.stat().st_mode & 0o777 == 0o700
    assert len({path.read_text() for path in made.iterdir()}) == len(SECRETS) - 2
    assert (made.parent / "group").read_text().split()[0] == GROUP


def test_every_reader_of_a_secret_is_in_its_group() -> None:
    for name, service in SERVICES.items():
        if service.get("secrets"):
            assert name in OURS or service["group_add"] == [GROUP]


def test_secrets_in_the_settings_match_those_of_the_service() -> None:
    text = (FILES / "config.toml").read_text("utf-8")

    for name in OURS:
        assert set(re.findall(r'"/run/secrets/(\w+)"', text)) == set(SERVICES[name]["secrets"])


def test_grace_period_is_longer_than_the_service_needs() -> None:
    stop_timeout = load(ROOT / "config.example.toml", {}).server.stop_timeout

    for name in OURS:
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) >= stop_timeout + 5


def networks(name: str) -> set[str]:
    return set(SERVICES[name]["networks"])


def test_each_network_connects_only_what_needs_it() -> None:
    joined = {net: {name for name in SERVICES if net in networks(name)} for net in COMPOSE["networks"]}

    assert joined == {
        "app": {"nginx", *OURS},
        "data": {"valkey", *OURS},
        "metrics": {"prometheus", "grafana", *OURS},
        "console": {"grafana"},
    }
    assert [net for net, options in COMPOSE["networks"].items() if options.get("internal")] == [
        "data",
        "metrics",
    ]


def test_report_worker_runs_only_on_request() -> None:
    assert SERVICES["reports"]["profiles"] == ["reports"]
    assert SERVICES["reports"]["command"] == ["consume-reports"]
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["reports"]
    probe = SERVICES["reports"]["healthcheck"]["test"]
    assert f":{settings_table()['metrics']['reports_port']}/metrics" in probe[-1]


# ── mounted files ──


def settings_table() -> dict[str, Any]:
    return tomllib.loads((FILES / "config.toml").read_text("utf-8"))


def test_nginx_has_the_file_for_two_instances_with_their_addresses() -> None:
    """So all tests of deploy/nginx/otp-service.conf apply to this file."""
    addresses = [SERVICES[name]["networks"]["app"]["ipv4_address"] for name in INSTANCES]
    ours, theirs = (
        path.read_text("utf-8").split("\n", 1)[1]
        for path in (FILES / "nginx.conf", DEPLOY / "nginx" / "otp-service.conf")
    )
    port = settings_table()["server"].get("port", 8080)
    for old, new in zip(("127.0.0.1:8080", "127.0.0.1:8081"), addresses, strict=True):
        theirs = theirs.replace(old, f"{new}:{port}")

    assert ours == theirs
    assert set(re.findall(r"/etc/ssl/\S+(?=;)", ours)) <= set(mounts("nginx"))
    (subnet,) = COMPOSE["networks"]["app"]["ipam"]["config"]
    assert all(address.startswith(subnet["subnet"].removesuffix("0/24")) for address in addresses)
    assert subnet["ip_range"].endswith(".128/25")  # apart from the fixed addresses
    assert settings_table()["service"]["proxy_hops"] == 1


def test_prometheus_accepts_its_file_and_scrapes_every_process(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        skip_or_fail("promtool is not installed")
    for inside, outside in mounts("prometheus").items():
        shutil.copy(DEPLOY / outside, tmp_path / Path(inside).name)
    result = run("promtool", "check", "config", str(tmp_path / "prometheus.yml"))
    assert result.returncode == 0, result.stderr

    jobs = {job["job_name"]: job for job in read("prometheus.yml")["scrape_configs"]}
    port = settings_table()["metrics"]["port"]
    assert jobs["otp_service"]["static_configs"] == [
        {"targets": [f"{name}:{port}" for name in INSTANCES]},
    ]
    (found,) = jobs["otp_service_reports"]["dns_sd_configs"]
    assert found == {"names": ["reports"], "type": "A", "port": settings_table()["metrics"]["reports_port"]}
    sample = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert list(jobs) == [job["job_name"] for job in sample]


def test_grafana_has_the_data_source_and_the_board() -> None:
    (source,) = read("grafana/datasource.yml")["datasources"]
    (provider,) = read("grafana/dashboards.yml")["providers"]
    board = json.loads((DEPLOY / "grafana" / "otp_service.json").read_text("utf-8"))
    targets = mounts("grafana")

    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    assert source["isDefault"] is True  # the initial value of the board's variable
    assert [one["query"] for one in board["templating"]["list"] if one["type"] == "datasource"] == [
        "prometheus"
    ]
    assert f"{provider['options']['path']}/otp_service.json" in targets
    assert {Path(inside).parent.name for inside in targets} == {"datasources", "dashboards"}


# ── Valkey ──

PASSWORD = "password-of-a-test"


@contextmanager
def running_valkey(directory: Path) -> Iterator[Server]:
    """Run the command of the container with the paths and the port of a test."""
    binary, port = valkey_binary(), free_port()
    (directory / "data").mkdir(exist_ok=True)
    (directory / "bin").mkdir(exist_ok=True)
    (directory / "bin" / "valkey-server").unlink(missing_ok=True)
    (directory / "bin" / "valkey-server").symlink_to(binary)
    (directory / "redis_password").write_text(f"{PASSWORD}\n")
    conf = changed(
        (FILES / "valkey.conf").read_text("utf-8"),
        {"dir /data": f"dir {directory}/data", "port 6379": f"port {port}\nbind 127.0.0.1"},
    )
    (directory / "valkey.conf").write_text(conf)
    process = subprocess.Popen(
        [adapted(word, directory) for word in SERVICES["valkey"]["command"]],
        env={**os.environ, "PATH": f"{directory}/bin:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
    )
    server = Server(port, process, directory)
    try:
        assert eventually(lambda: answers(server), 20)
        yield server
    finally:
        process.kill()
        process.wait()


def answers(server: Server) -> bool:
    with server.client(password=PASSWORD) as client, suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


def changed(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def adapted(text: str, directory: Path) -> str:
    """Return *text* as the container sees it, with the paths of a test."""
    for old, new in {
        "$$": "$",
        "/etc/valkey/valkey.conf": f"{directory}/valkey.conf",
        "/run/secrets/redis_password": f"{directory}/redis_password",
    }.items():
        text = text.replace(old, new)
    return text


def test_valkey_asks_for_the_password_and_keeps_its_data_when_it_is_killed(tmp_path: Path) -> None:
    with running_valkey(tmp_path) as server:
        arguments = Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
        with server.client(password=PASSWORD) as client, server.client() as stranger:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            client.set("kept", "1")
            with pytest.raises(redis.AuthenticationError):
                stranger.ping()
    with running_valkey(tmp_path) as server, server.client(password=PASSWORD) as client:
        assert client.get("kept") == b"1"
    assert b"valkey-server" in arguments  # the shell was replaced, so signals reach the server
    assert PASSWORD.encode() not in arguments


def test_health_check_of_valkey_knows_the_password(tmp_path: Path) -> None:
    if shutil.which("redis-cli") is None:
        skip_or_fail("redis-cli is not installed")
    with running_valkey(tmp_path) as server:
        probe = adapted(SERVICES["valkey"]["healthcheck"]["test"][1], tmp_path)
        probe = probe.replace("valkey-cli", f"redis-cli -p {server.port}")
        good = run("sh", "-c", probe)
        (tmp_path / "redis_password").write_text("another")
        bad = run("sh", "-c", probe)
    down = run("sh", "-c", probe)

    assert good.returncode == 0
    assert bad.returncode != 0
    assert down.returncode != 0


# ── the service ──


def test_settings_verify_a_phone_behind_nginx(tmp_path: Path) -> None:
    """With the variables of the image, the addresses of a test, and the sandbox instead of Aliyun."""
    secret_key = "sk_" + "k" * 43
    secrets = {
        "pseudonym_key": os.urandom(32).hex(),
        "root_a": os.urandom(32).hex(),
        "proof_keys": os.urandom(32).hex(),
        "access_key_id": ACCESS_KEY_ID,
        "access_key_secret": ACCESS_KEY_SECRET,
    }
    for name, value in secrets.items():
        (tmp_path / name).write_text(f"{value}\n")
    account = SandboxConfig.default({ACCESS_KEY_ID: ACCESS_KEY_SECRET})
    with start_sandbox(account) as sandbox, running_valkey(tmp_path) as store:
        text = (FILES / "config.toml").read_text("utf-8").replace("/run/secrets", str(tmp_path))
        text = changed(
            text,
            {
                "redis://valkey:6379/0": store.url,
                "0" * 64: key_digest(secret_key),
                "阿里云短信测试": DEFAULT_SIGN_NAME,
                "SMS_154950909": "SMS_100000001",
                'provider = "aliyun-sms"': f'provider = "aliyun-sms"\nendpoint = "{sandbox.url}"',
            },
        )
        config, log, port = tmp_path / "config.toml", tmp_path / "service.log", free_port()
        config.write_text(text, "utf-8")
        image = {name: value for name, value in stages()[-1].environment().items() if "__" in name}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "otp_service", "serve"],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    **os.environ,
                    **image,
                    "OTP_SERVICE_CONFIG": str(config),
                    "OTP_SERVICE__SERVER__PORT": str(port),
                    "OTP_SERVICE__METRICS__PORT": str(free_port()),
                },
            )
        made = Secrets(secret_key, secrets["root_a"], secrets["pseudonym_key"], secrets["proof_keys"])
        service = Deployment(f"http://127.0.0.1:{port}", made, sandbox, store, log, process)
        try:
            wait_until_ready(service)
            with running_proxy("nginx", [port, port]) as proxy:
                phone, key = new_phone(), {"Authorization": f"Bearer {secret_key}"}
                body = {"phone": phone, "purpose": "login"}
                opened = proxy.call("POST", "/otp/request", body, **key).body
                entered = {
                    "phone": phone,
                    "verification_id": opened["verification_id"],
                    "code": service.code(phone),
                }
                answer = proxy.call("POST", "/otp/verify", entered, **key)
        finally:
            stop(process)

    assert answer.status == 200
    assert answer.body["proof"]
    assert process.returncode == 0
