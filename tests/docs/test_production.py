"""docs/production.md, the reload lines and deploy/ are checked with their own tools and with a service."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.deployment import config_text, make_secrets
from support.doc_blocks import ROOT, Block, blocks, blocks_to_run, documents
from support.redis_servers import Server, closed_port, free_port, redis_binary, skip_or_fail
from support.redis_servers import running as running_server
from support.waiting import eventually

from otp_service.cli.main import main

BIN = Path(sys.prefix) / "bin"
UNIT = ROOT / "deploy" / "systemd" / "otp-service.service"
ROTATION = ROOT / "deploy" / "logrotate" / "otp-service"
UNITS = [block for document in documents() for block in blocks(document) if block.language == "ini"]


def tool(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        skip_or_fail(f"{name} is not installed")
    return str(found)


def block(document: str, begins: str) -> str:
    (found,) = [known.text for known in blocks(document) if known.first_line.startswith(begins)]
    return found


def bash(text: str, directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}:/usr/sbin", **variables}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def log_lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


def count(path: Path, event: str) -> int:
    return sum(line.get("event") == event for line in log_lines(path))


# ── the unit files ──


def verified(directory: Path, *files: tuple[str, str]) -> tuple[int, str]:
    """Return the errors of systemd for the first of *files*, with the program of this environment."""
    for name, text in files:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("/opt/otp-service/bin", str(BIN)))
    result = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no", str(directory / files[0][0])],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{directory}:"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return result.returncode, "\n".join(line for line in result.stderr.splitlines() if "otp-service" in line)


def test_systemd_accepts_the_unit_of_the_service(tmp_path: Path) -> None:
    assert verified(tmp_path, (UNIT.name, UNIT.read_text())) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: f"{unit.document}:{unit.line}")
def test_systemd_accepts_every_unit_and_drop_in_of_the_docs(unit: Block, tmp_path: Path) -> None:
    path = Path(unit.first_line.removeprefix("# /etc/systemd/system/"))
    is_drop_in = path.parent.name.endswith(".d")
    service = [(UNIT.name, UNIT.read_text())] if is_drop_in else []

    assert verified(tmp_path, *service, (str(path), unit.text)) == (0, "")


def test_systemd_rejects_a_unit_with_an_error(tmp_path: Path) -> None:
    _, errors = verified(tmp_path, (UNIT.name, UNIT.read_text().replace("KillMode=", "KilMode=")))

    assert "KilMode" in errors


def test_commands_in_the_docs_enable_the_unit(tmp_path: Path) -> None:
    """The machine is not changed: the tools use another root, without a daemon to reload."""
    text = block("docs/production.md", "useradd")
    for name in ("passwd", "group", "shadow", "gshadow", "login.defs"):
        (tmp_path / "etc").mkdir(exist_ok=True)
        (tmp_path / "etc" / name).touch()
    (tmp_path / "etc" / "systemd" / "system").mkdir(parents=True)
    tool("useradd")
    tool("systemctl")
    assert "systemctl daemon-reload\n" in text
    for old, new in [
        ("useradd ", f"useradd --prefix {tmp_path} "),
        ("/etc/systemd/system/", f"{tmp_path}/etc/systemd/system/"),
        ("systemctl daemon-reload\n", ""),
        ("systemctl enable --now", f"systemctl --root={tmp_path} enable"),
    ]:
        assert old in text
        text = text.replace(old, new)
    result = bash(text, ROOT)

    assert result.returncode == 0, result.stderr
    assert "otp-service:" in (tmp_path / "etc" / "passwd").read_text()
    wanted = tmp_path / "etc" / "systemd" / "system" / "multi-user.target.wants"
    assert [path.name for path in wanted.iterdir()] == [UNIT.name]


def test_command_in_the_docs_reads_the_journal(tmp_path: Path) -> None:
    text = block("docs/production.md", "journalctl")
    tool("journalctl")
    result = bash(text.replace("--follow", f"--no-pager --directory {tmp_path}"), tmp_path)

    assert result.returncode == 0, result.stderr


# ── reload ──


@contextmanager
def started(directory: Path, command: str, log: Path) -> Iterator[int]:
    """Run *command* of the docs, with its output in *log*; yield the process id that it has written."""
    result = bash(f"{{ {command}\n}} >> {log} 2>&1", directory)
    assert result.returncode == 0, result.stderr
    pid = int((directory / "otp-service.pid").read_text())
    try:
        assert eventually(lambda: count(log, "started") > 0, 30), log.read_text()
        yield pid
    finally:
        os.kill(pid, signal.SIGTERM)
        assert eventually(lambda: not Path(f"/proc/{pid}").exists(), 30)


@pytest.fixture
def place(tmp_path: Path, redis_server: Server) -> Path:
    """A directory with a valid configuration."""
    text = config_text(redis_server.url, "http://127.0.0.1:9", free_port(), make_secrets())
    (tmp_path / "config.toml").write_text(text)
    return tmp_path


START = block("docs/operations.md", "otp-service serve")
RELOADS = {
    "docs": block("docs/operations.md", "otp-service check-config"),
    "unit": "\n".join(re.findall(r"^ExecReload=(.*)$", UNIT.read_text(), re.MULTILINE)),
}


@pytest.mark.parametrize("line", RELOADS.values(), ids=RELOADS)
def test_reload_line_reloads_only_a_valid_configuration(line: str, place: Path) -> None:
    log, config = place / "service.log", place / "config.toml"
    line = line.replace("/opt/otp-service/bin", str(BIN)).replace("/etc/otp-service", str(place))
    with started(place, START, log) as pid:
        result = bash(line, place, MAINPID=str(pid))
        assert result.returncode == 0, result.stderr
        assert eventually(lambda: count(log, "reloaded") == 1, 20), log.read_text()

        config.write_text(config.read_text().replace('active_kid = "2026a"', 'active_kid = "2027a"'))
        refused = bash(line, place, MAINPID=str(pid))

    assert refused.returncode == 1
    assert "keys.active_kid" in refused.stderr
    assert (count(log, "reloaded"), count(log, "reload_failed")) == (1, 0)


# ── the log ──


def test_logrotate_truncates_the_log_and_the_service_continues(place: Path) -> None:
    logrotate = tool("logrotate")
    logs = place / "log"
    logs.mkdir(mode=0o755)
    log, rules = logs / "otp-service.log", place / "rules"
    rules.write_text(ROTATION.read_text().replace("/var/log/otp-service/", f"{logs}/"))
    rules.chmod(0o644)
    command = [logrotate, "--verbose", "--state", str(place / "state"), str(rules)]
    with started(place, START, log):
        before = log.read_bytes()
        result = subprocess.run(
            [*command, "--force"], capture_output=True, text=True, timeout=60, check=False
        )
        assert result.returncode == 0, result.stderr
        os.kill(int((place / "otp-service.pid").read_text()), signal.SIGHUP)
        assert eventually(lambda: count(log, "reloaded") == 1, 20)

    assert (logs / "otp-service.log.1").read_bytes() == before
    assert log.read_bytes().startswith(b"{")  # no hole in place of the old content


# ── init ──


def test_init_in_the_docs_writes_a_valid_configuration(tmp_path: Path, redis_server: Server) -> None:
    """The directory and the Redis are those of this test."""
    text, there = block("docs/production.md", "otp-service init"), tmp_path / "otp-service"
    (tmp_path / "access-key-secret").write_text("Zq8mT4nB1xK7vW3pL6sR9dF2\n")
    for old, new in [("/etc/otp-service", str(there)), ("redis://127.0.0.1:6379/0", redis_server.url)]:
        assert old in text
        text = text.replace(old, new)
    result = bash(text, tmp_path)
    checked = bash(f"otp-service check-config --config {there}/config.toml", tmp_path)

    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in there.iterdir()) == ["config.toml", UNIT.name, "secrets"]
    assert (checked.returncode, checked.stderr) == (0, "")
    assert verified(tmp_path / "units", (UNIT.name, (there / UNIT.name).read_text())) == (0, "")


def test_commands_of_the_readme_write_a_valid_configuration(tmp_path: Path, redis_server: Server) -> None:
    """The directory and the Redis are those of this test, and the defaults answer the questions."""
    there = tmp_path / "otp-service"
    init, check, serve = (
        line.partition("#")[0].strip() for line in block("README.md", "otp-service init").splitlines()
    )
    init += f" --yes --directory {there} --redis-url {redis_server.url}"
    result = bash(f"{init}\n{check.replace('/etc/otp-service', str(there))}", tmp_path)

    assert result.returncode == 0, result.stderr
    assert serve == check.replace("check-config", "serve")


def test_options_and_defaults_of_init_match_the_docs() -> None:
    rows = [line for line in (ROOT / "docs/production.md").read_text().splitlines() if "`--" in line]
    documented = {flag for row in rows if row.startswith("|") for flag in re.findall(r"`(--[\w-]+)", row)}
    options = {flag for option in main.commands["init"].params for flag in option.opts}

    assert documented == options - {"--yes"}


# ── check-config ──


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--config", "config.toml"], 0),
        (["--config", "config.toml", "--offline"], 0),
        (["--config", "broken.toml"], 1),
        (["--config", "missing.toml"], 1),
        (["--config", "silent.toml"], 1),
        (["--config", "silent.toml", "--offline"], 0),
        (["config.toml"], 2),
        (["--bogus"], 2),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else str(given),
)
def test_exit_codes_of_check_config_match_the_docs(arguments: list[str], code: int, place: Path) -> None:
    text = (place / "config.toml").read_text()
    (place / "broken.toml").write_text(text.replace("[keys.roots]", "[keys.rots]"))
    (place / "silent.toml").write_text(re.sub(r"redis://[^/]+", f"redis://127.0.0.1:{closed_port()}", text))
    result = bash(" ".join(["otp-service", "check-config", *arguments]), place)
    documented = re.findall(r"^\| (\d) \|", (ROOT / "docs/production.md").read_text(), re.MULTILINE)

    assert result.returncode == code, result.stderr
    assert sorted(documented) == ["0", "1", "2"]


# ── Redis ──


def test_redis_accepts_the_settings_of_the_docs(tmp_path: Path) -> None:
    for settings in blocks_to_run("redis"):
        path = tmp_path / "redis.conf"
        path.write_text(settings.text)
        wanted = dict(line.split(" ", 1) for line in settings.text.splitlines())
        with (
            running_server(redis_binary(), "--include", str(path)) as server,
            server.client(decode_responses=True) as client,
        ):
            assert {name: client.config_get(name)[name] for name in wanted} == wanted


def numbers(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in re.findall(r"[\d,]*\d(?:\.\d+)?", text)]


def test_memory_is_computed_from_the_measured_sizes() -> None:
    """The sizes of Redis 7.0 in docs/performance.md: 90 days of phones, and the busiest 25 minutes."""
    measured = {
        name: int(size)
        for name, size in re.findall(
            r"^\| ([^|]+) \| (\d+) \|", (ROOT / "docs/performance.md").read_text(), re.MULTILINE
        )
    }
    text = (ROOT / "docs/production.md").read_text()
    formula = block("docs/production.md", "bytes = ")
    approved = measured["after an approval, one hour later"]
    abandoned = measured["after an abandoned verification, one hour later"]
    address, alive = measured["one additional IP address"], measured["one live verification"]
    each = 90 * approved + abandoned / 5 + address + alive * 0.1 * 25 / 60
    rows = re.findall(r"^\| ([\d,]+) \| ([\d.]+) (MB|GB) \| (\d+)(mb|gb) \|$", text, re.MULTILINE)

    assert [int(size) for size in re.findall(r"^\D*?(\d[\d,]*) x", formula, re.MULTILINE)] == [
        approved,
        abandoned,
        address,
        alive,
    ]
    assert f"about {round(each, -2):,.0f} bytes" in text
    assert len(rows) == 4
    for count_, size, unit, limit, _ in rows:
        computed = each * numbers(count_)[0] + 20e6
        scale = {"MB": 1e6, "GB": 1e9}[unit]
        assert float(size) * scale == pytest.approx(computed, rel=0.05)
        assert 1.5 * computed <= int(limit) * (2**20 if unit == "MB" else 2**30) < 3 * computed


# ── installation ──


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, without the files of test runs."""
    there = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "config.example.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, there / name)
    shutil.copytree(ROOT / "otp_service", there / "otp_service", ignore=shutil.ignore_patterns("__pycache__"))
    return there


def test_installation_of_the_readme_works(checkout: Path, place: Path, tmp_path: Path) -> None:
    text = block("README.md", "python3 -m venv").replace("/opt/otp-service", str(tmp_path / "opt"))
    then = "otp-service --version; type -p otp-service"
    result = bash(f"{text}\n{then}", checkout, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_QUIET="1")

    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == str(tmp_path / "opt" / "bin" / "otp-service")
    program = result.stdout.splitlines()[-1]
    assert bash(f"{program} check-config --config config.toml", place).returncode == 0
    assert bash(f"{program} dev", place).returncode != 0  # the development dependencies are missing


def test_installation_in_production_md_matches_the_readme() -> None:
    assert block("README.md", "python3 -m venv").startswith(block("docs/production.md", "python3 -m venv"))


def test_command_in_the_docs_builds_the_wheel(checkout: Path) -> None:
    result = bash(block("docs/production.md", "pip wheel"), checkout, PIP_DISABLE_PIP_VERSION_CHECK="1")

    assert result.returncode == 0, result.stderr
    assert [path.suffix for path in (checkout / "dist").iterdir()] == [".whl"]
