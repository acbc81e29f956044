"""`otp-service init`: questions, flags, files, and a service that runs with the written files."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import yaml
from click.testing import CliRunner, Result
from support.deployment import exchange, post
from support.redis_servers import Server, closed_port, free_port, redis_binary, running

from otp_service.cli.init import command, files
from otp_service.cli.main import main
from otp_service.domain.clients import key_digest
from otp_service.settings import load
from otp_service.settings.settings import Settings

ROOT = Path(__file__).parents[2]
ACCOUNT = ("--sms", "aliyun", "--access-key-id", "LTAI5tExampleKeyId", "--sign-name", "阿里云短信测试")
ACCESS_KEY_SECRET = "Zq8mT4nB1xK7vW3pL6sR9dF2"
KEY = re.compile(r"^sk_[\w-]{43}$", re.MULTILINE)


def init(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, ["init", *arguments], input=typed)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The directory for the configuration; it does not exist yet."""
    return tmp_path / "otp"


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "is_terminal", lambda: True)


@pytest.fixture
def secret_file(tmp_path: Path) -> str:
    path = tmp_path / "access-key-secret"
    path.write_text(f"{ACCESS_KEY_SECRET}\n")
    return str(path)


def defaults(place: Path, redis_url: str, *more: str) -> Result:
    return init("--yes", "--directory", str(place), "--redis-url", redis_url, *more)


def settings_of(place: Path) -> Settings:
    return load(place / "config.toml", {})


def secrets_in(place: Path) -> list[str]:
    return [path.read_text().strip() for path in (place / "secrets").iterdir()]


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ── written files ──


def test_files_are_readable_by_their_owner_only(place: Path, redis_server: Server) -> None:
    result = defaults(place, redis_server.url, "--run", "systemd")

    assert result.exit_code == 0, result.output
    for path in (place, *place.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert left_in(place) == ["config.toml", "otp-service.service", "sandbox.toml", "secrets"]
    assert left_in(place.parent) == ["otp"]


def test_only_the_client_key_is_printed_and_no_secret_is_in_the_settings(
    place: Path, redis_server: Server
) -> None:
    result = defaults(place, redis_server.url)
    text = (place / "config.toml").read_text()
    (key,) = KEY.findall(result.output)

    assert result.output.count(key) == 1
    assert key_digest(key) in text
    assert key not in text
    assert len(secrets_in(place)) == 4
    for secret in secrets_in(place):
        assert secret not in result.output + text


def test_each_configuration_has_its_own_secrets(tmp_path: Path, redis_server: Server) -> None:
    for name in ("one", "other"):
        assert defaults(tmp_path / name, redis_server.url).exit_code == 0
    secrets = secrets_in(tmp_path / "one") + secrets_in(tmp_path / "other")

    assert len(set(secrets)) == len(secrets) == 8


@pytest.mark.parametrize("run", ["none", "systemd"])
def test_result_passes_check_config_without_a_warning(run: str, place: Path, redis_server: Server) -> None:
    assert defaults(place, redis_server.url, "--run", run).exit_code == 0
    result = CliRunner().invoke(main, ["check-config", "--config", str(place / "config.toml")])

    assert (result.exit_code, result.output) == (0, "The configuration is fit for production.\n")


def test_flags_answer_the_questions(place: Path, redis_server: Server, secret_file: str) -> None:
    result = init(
        *("--directory", str(place), "--run", "none", "--redis-url", redis_server.url, *ACCOUNT),
        *("--access-key-secret-file", secret_file, "--template-code", "SMS_154950909"),
        *("--client", "shop", "--purpose", "login", "--purpose", "signup"),
        *("--public-url", "https://otp.example.com", "--proxy-hops", "2"),
    )
    settings = settings_of(place)
    (route,) = settings.routes

    assert result.exit_code == 0, result.output
    assert left_in(place) == ["config.toml", "secrets"]
    assert (settings.service.public_url, settings.service.proxy_hops) == ("https://otp.example.com", 2)
    assert (list(settings.purposes), list(settings.clients)) == (["login", "signup"], ["shop"])
    assert route.access_keys() == [("LTAI5tExampleKeyId", ACCESS_KEY_SECRET, "")]
    assert route.endpoint == "https://dysmsapi.aliyuncs.com"
    assert route.all_templates()[0].template_code == "SMS_154950909"
    assert ACCESS_KEY_SECRET not in result.output + (place / "config.toml").read_text()
    assert f"doctor --config {place / 'config.toml'}" in result.output
    assert "sandbox" not in result.output


def test_url_of_redis_with_a_password_is_kept_in_a_file(place: Path, tmp_path: Path) -> None:
    with running(redis_binary()) as server, server.client() as client:
        client.config_set("requirepass", "s3cret-of-redis")
        url = server.url.replace("redis://", "redis://:s3cret-of-redis@")
        (tmp_path / "url").write_text(url)
        result = init("--yes", "--directory", str(place), "--redis-url-file", str(tmp_path / "url"))

    assert result.exit_code == 0, result.output
    assert settings_of(place).redis.url.get_secret_value() == url
    assert "s3cret" not in result.output + (place / "config.toml").read_text()


def test_redis_that_does_not_respond_yet_is_a_warning(place: Path) -> None:
    result = defaults(place, f"redis://127.0.0.1:{closed_port()}/0")

    assert result.exit_code == 0
    assert "Warning: redis.url: names a host and port where nothing listens" in result.output


# ── how to run it ──


def test_unit_matches_the_one_in_deploy() -> None:
    ours = Path(files.__file__).parent / files.UNIT

    assert ours.read_text() == (ROOT / "deploy/systemd/otp-service.service").read_text()


@pytest.mark.parametrize(("uid", "user"), [(0, "otp-service"), (4_000_000, "4000000")])
def test_unit_names_program_directory_and_user(
    uid: int, user: str, place: Path, redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    result = defaults(place, redis_server.url, "--run", "systemd")
    unit = (place / "otp-service.service").read_text()

    assert f"ExecStart={files.program()} serve --config {place}/config.toml\n" in unit
    assert f"ExecReload={files.program()} check-config --config {place}/config.toml\n" in unit
    assert f"User={user}\n" in unit
    assert f"cp {place}/otp-service.service /etc/systemd/system/\n" in result.output
    assert result.output.endswith("systemctl enable --now otp-service\n")
    assert ("sudo " in result.output) == bool(uid)
    assert (f"chown -R otp-service: {place}\n" in result.output) == (uid == 0)


def test_unit_can_read_a_home_directory_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "program", lambda: "/home/ann/venv/bin/otp-service")

    assert "ProtectHome=read-only\n" in files._unit(Path("/etc/otp-service"))
    monkeypatch.setattr(files, "program", lambda: "/opt/otp-service/bin/otp-service")
    assert "ProtectHome=yes\n" in files._unit(Path("/etc/otp-service"))


def test_compose_runs_service_sandbox_and_redis(place: Path) -> None:
    result = init("--yes", "--directory", str(place), "--run", "compose")
    services = yaml.safe_load((place / "compose.yaml").read_text())["services"]

    assert result.exit_code == 0, result.output
    assert "Warning" not in result.output
    assert list(services) == ["otp-service", "sandbox", "redis"]
    assert services["otp-service"]["command"] == ["serve", "--config", f"{place}/config.toml"]
    assert services["otp-service"]["user"] == f"{os.geteuid()}:{os.getegid()}"
    assert services["otp-service"]["volumes"] == [f"{place}:{place}:ro"]
    assert all("127.0.0.1:" in port for port in services["otp-service"]["ports"])
    assert services["sandbox"]["network_mode"] == "service:otp-service"
    assert "noeviction" in services["redis"]["command"]
    assert settings_of(place).server.host == "0.0.0.0"
    assert f"docker compose --file {place}/compose.yaml up --detach" in result.output


def test_compose_runs_only_what_is_needed(place: Path, secret_file: str) -> None:
    result = init(
        *(
            "--yes",
            "--directory",
            str(place),
            "--run",
            "compose",
            "--redis-url",
            "rediss://redis.example.com",
        ),
        *(*ACCOUNT, "--access-key-secret-file", secret_file, "--template-code", "SMS_1"),
    )
    services = yaml.safe_load((place / "compose.yaml").read_text())["services"]

    assert result.exit_code == 0, result.output
    assert list(services) == ["otp-service"]
    assert "depends_on" not in services["otp-service"]


# ── questions ──


def test_questions_are_asked_and_bad_answers_again_with_the_reason(
    place: Path, redis_server: Server, at_a_terminal: None
) -> None:
    result = init(
        typed="\n".join(
            [
                *(f"{place.parent}/no/such", str(place)),
                *("docker", "none"),
                *("http://127.0.0.1", redis_server.url),
                *("twilio", "aliyun"),
                *("<your-access-key-id>", "LTAI5tExampleKeyId"),
                ACCESS_KEY_SECRET,
                *("【短信】", "阿里云短信测试"),
                *("154950909", "SMS_154950909"),
                *("My Shop", "shop"),
                *("Log-in", "login signup login"),
                *("http://otp.example.com", "https://otp.example.com"),
                *("9", ""),
                "",
            ]
        )
    )
    reasons = re.findall(r"^ +It (.*)\.$", result.output, re.MULTILINE)
    settings = settings_of(place)

    assert result.exit_code == 0, result.output
    assert len(reasons) == 11
    words = ("parent", "compose", "redis://", "sandbox", "placeholder", "【】", "SMS_", "letter", "letter")
    for reason, word in zip(reasons, (*words, "https", "at most 8"), strict=True):
        assert word in reason
    assert ACCESS_KEY_SECRET not in result.output
    assert (list(settings.clients), list(settings.purposes)) == (["shop"], ["login", "signup"])
    assert settings.service.proxy_hops == 1


def test_enter_is_the_default(
    tmp_path: Path, at_a_terminal: None, monkeypatch: pytest.MonkeyPatch, redis_server: Server
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    result = init("--redis-url", redis_server.url, typed="\n" * 6)
    settings = settings_of(tmp_path / "otp-service")

    assert result.exit_code == 0, result.output
    assert "3/6" not in result.output  # the flag answers it
    assert (list(settings.clients), list(settings.purposes)) == (["web"], ["login"])
    assert (settings.service.public_url, settings.service.proxy_hops) == ("", 0)


def test_ctrl_c_writes_nothing(place: Path, at_a_terminal: None) -> None:
    result = init(typed=f"{place}\n")

    assert result.exit_code == 1
    assert left_in(place.parent) == []


def test_questions_are_asked_at_a_real_terminal(place: Path, redis_server: Server) -> None:
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "otp_service", "init", "--redis-url", redis_server.url]
    with subprocess.Popen(words, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, f"{place}\n\n\n\n\n\n".encode())
        shown = b""
        deadline = time.monotonic() + 60
        while b"Next:" not in shown and time.monotonic() < deadline:
            if select.select([ours], [], [], 1)[0]:
                shown += os.read(ours, 65_536)
        assert process.wait(20) == 0
    os.close(ours)

    assert b"1/6" in shown
    assert (place / "config.toml").is_file()


# ── refusals ──


def test_without_a_terminal_the_flags_are_needed_or_yes(place: Path) -> None:
    result = init("--directory", str(place), "--client", "web", typed="")

    assert result.exit_code == 2
    assert "not a terminal" in result.output
    assert "--yes" in result.output
    for flag in ("--run", "--redis-url", "--sms", "--purpose", "--public-url"):
        assert flag in result.output
    assert "--directory" not in result.output.partition("Error")[2]
    assert left_in(place.parent) == []


def test_account_has_no_default(place: Path) -> None:
    result = init("--yes", "--directory", str(place), "--sms", "aliyun")

    assert result.exit_code == 2
    for flag in ("--access-key-id", "--access-key-secret-file", "--sign-name", "--template-code"):
        assert flag in result.output
    assert left_in(place.parent) == []


@pytest.mark.parametrize(
    ("flag", "value", "reason"),
    [
        ("--directory", "/no/such/parent", "has no parent directory"),
        ("--directory", "/dev/null", "is not a directory"),
        ("--directory", "/tmp/a b", "letters, digits"),  # noqa: S108 - nothing is written there
        ("--run", "docker", "systemd, compose or none"),
        ("--redis-url", "http://127.0.0.1", "must begin with redis://"),
        ("--redis-url", "redis://:top-secret@h/x", "is not the URL of a Redis"),
        ("--redis-url", "embedded://", "loses its data"),
        ("--sms", "twilio", "aliyun or sandbox"),
        ("--client", "My Shop", "beginning with a letter"),
        ("--purpose", "Log-in", "beginning with a letter"),
        ("--purpose", "", "at least one purpose"),
        ("--public-url", "http://otp.example.com", "https"),
        ("--redis-url-file", "/no/such/file", "cannot be read"),
    ],
)
def test_bad_flag_is_named_with_the_reason(flag: str, value: str, reason: str, place: Path) -> None:
    usual = {"--directory": str(place), "--redis-url": f"redis://127.0.0.1:{closed_port()}/0"}
    if flag == "--redis-url-file":
        del usual["--redis-url"]
    words = [word for pair in ({**usual, flag: value}).items() for word in pair]
    result = init("--yes", *words)

    assert result.exit_code == 2, result.output
    assert f"Invalid value for {flag}" in result.output
    assert reason in result.output
    assert "top-secret" not in result.output
    assert left_in(place.parent) == []


def test_one_url_of_redis_is_enough(place: Path) -> None:
    result = init("--yes", "--redis-url", "redis://h", "--redis-url-file", "/dev/null")

    assert result.exit_code == 2
    assert "--redis-url-file: cannot be combined with --redis-url" in result.output


def test_redis_that_evicts_keys_is_refused(place: Path) -> None:
    with running(redis_binary(), "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru") as server:
        result = defaults(place, server.url)

    assert result.exit_code == 2
    assert "--redis-url" in result.output
    assert "maxmemory-policy" in result.output
    assert left_in(place.parent) == []


@pytest.mark.parametrize("name", ["config.toml", "secrets", "sandbox.toml", "otp-service.service"])
def test_existing_file_is_named_and_not_changed(name: str, place: Path, redis_server: Server) -> None:
    place.mkdir()
    (place / name).write_text("mine")
    result = defaults(place, redis_server.url, "--run", "systemd")

    assert result.exit_code != 0
    assert str(place / name) in result.output
    assert left_in(place) == [name]
    assert (place / name).read_text() == "mine"


def test_files_are_added_to_a_directory_that_exists(place: Path, redis_server: Server) -> None:
    place.mkdir(mode=0o755)
    (place / "notes.txt").write_text("mine")
    result = defaults(place, redis_server.url)

    assert result.exit_code == 0, result.output
    assert left_in(place) == ["config.toml", "notes.txt", "sandbox.toml", "secrets"]
    assert stat.S_IMODE((place / "secrets").stat().st_mode) == 0o700


def test_failure_removes_all_written_files(
    place: Path, redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.mkdir()
    rename = Path.rename

    def fails_for_secrets(path: Path, target: Path) -> Path:
        if path.name == "secrets":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fails_for_secrets)
    result = defaults(place, redis_server.url)

    assert result.exit_code == 1
    assert "No space left on device" in result.output
    assert left_in(place) == []


def test_invalid_settings_are_not_written(
    place: Path, redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings are invalid because of an environment variable, which the service reads too."""
    monkeypatch.setenv("OTP_SERVICE__REDIS__EMBEDED", "1")
    result = defaults(place, redis_server.url)

    assert result.exit_code == 1
    assert "redis.embeded: is not a setting" in result.output
    assert KEY.findall(result.output) == []
    assert left_in(place.parent) == []


# ── running with the written files ──


@contextmanager
def started(*words: str, url: str, **environment: str) -> Iterator[None]:
    """Run a command until the block ends, and wait until *url* answers."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("OTP_SERVICE")}
    with subprocess.Popen(
        [sys.executable, "-m", "otp_service", *words],
        cwd=ROOT,
        env={**known, **environment},
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while not is_answered(url):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(20)


def is_answered(url: str) -> bool:
    try:
        with urlopen(url, timeout=20):  # noqa: S310 - of this machine
            return True
    except (URLError, OSError):
        return False


def test_service_runs_with_the_written_files(place: Path, redis_server: Server) -> None:
    """The ports are changed, because another process may use the written ones."""
    key = KEY.findall(defaults(place, redis_server.url).output)[0]
    port, sandbox_port = free_port(), free_port()
    config = place / "config.toml"
    assert tomllib.loads(config.read_text())["routes"][0]["endpoint"].endswith(f":{files.SANDBOX_PORT}")
    config.write_text(config.read_text().replace(f":{files.SANDBOX_PORT}", f":{sandbox_port}"))
    service, sandbox = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    phone = "+8613800138321"
    with (
        started(
            *("sandbox", "--config", str(place / "sandbox.toml"), "--port", str(sandbox_port)),
            url=f"{sandbox}/inbox",
        ),
        started(
            *("serve", "--config", str(config)), url=f"{service}/readyz", OTP_SERVICE__SERVER__PORT=str(port)
        ),
    ):
        assert exchange("GET", f"{service}/readyz", None, {}).status == 200
        sent = post(
            f"{service}/otp/request", {"phone": phone, "purpose": "login"}, Authorization=f"Bearer {key}"
        )
        with urlopen(f"{sandbox}/inbox.json?phone={quote(phone)}") as answer:  # noqa: S310
            code = json.load(answer)[0]["code"]
        body = {"phone": phone, "verification_id": sent.body["verification_id"], "code": code}
        verified = post(f"{service}/otp/verify", body, Authorization=f"Bearer {key}")

    assert (sent.status, verified.status) == (201, 200)
    assert verified.body["proof"]
