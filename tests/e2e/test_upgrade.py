"""A rolling upgrade under load: the previous build and this one serve side by side on one Redis.

The previous build is the newest release before this revision. Before the first release it is the revision
before the newest change of the package. Both run with the libraries that are installed.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import count
from pathlib import Path

import pytest
from support.deployment import (
    ACCESS_KEY_ID,
    ACCESS_KEY_SECRET,
    Answer,
    Deployment,
    Secrets,
    config_text,
    make_secrets,
    new_phone,
    running_service,
    stop,
    wait_until_ready,
)
from support.doc_blocks import blocks
from support.package_sources import ROOT
from support.proxies import running_proxy
from support.redis_servers import Server, free_port, redis_binary, running, skip_or_fail
from support.waiting import eventually

from otp_service.cli.admin import open_session
from otp_service.domain.limits import DAY, GlobalFailureLimits, IpLimits, PhoneLimits
from otp_service.observability.clock import SystemClock
from otp_service.sandbox.config import SandboxConfig
from otp_service.sandbox.server import SandboxServer, start_sandbox
from otp_service.store import encoding, keys, schema
from otp_service.store.admin import AdminStore

CALLERS = 3
BETWEEN = 30
"""Number of calls that must succeed between two restarts."""

CROSSWISE = 6
"""Verifications in each mixed phase that are requested at one build and verified at the other."""

PHONES_PER_ADDRESS = 6
BOUND = 60

EARLIER_FAILURES = 100
"""Wrong codes of the service that were counted before the test.

The count never goes below 0: near 0 it would be too high if one instance wrote an approval before another
wrote the wrong code of the same verification.
"""

Call = Callable[[str, object], Answer]


# ── the two builds ──


def git(*arguments: str) -> bytes:
    """Return the output of a git command in this repository, empty if it fails."""
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=False, capture_output=True).stdout


def previous_revision() -> str:
    release = git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD~1").decode().strip()
    if release:
        return release
    newest_change = git("rev-list", "-1", "HEAD", "--", "otp_service").decode().strip()
    return git("rev-parse", "--verify", "--quiet", f"{newest_change}~1").decode().strip()


@pytest.fixture(scope="module")
def previous_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the previous build."""
    revision = previous_revision()
    if not revision:
        pytest.skip("there is no git history, so there is no previous build")
    directory = tmp_path_factory.mktemp("previous")
    archive = BytesIO(git("archive", revision, "otp_service", "config.example.toml"))
    with tarfile.open(fileobj=archive) as files:
        files.extractall(directory, filter="data")
    for build in (directory, Path(ROOT)):
        found = subprocess.check_output(
            [sys.executable, "-P", "-c", "import otp_service; print(otp_service.__file__)"],
            env={**os.environ, "PYTHONPATH": str(build)},
        )
        assert Path(found.decode()).is_relative_to(build)
    return directory


def settings_of(build: Path, text: str) -> str:
    """Return *text*, a configuration of this build, without the settings that *build* does not have."""
    example = (build / "config.example.toml").read_text("utf-8")
    known = set(re.findall(r"^(?:# )?([a-z]\w*?)(?:_file)? = ", example, re.MULTILINE))
    lines = text.splitlines(keepends=True)
    named = [(re.match(r"([a-z]\w*) = ", line), line) for line in lines]
    return "".join(line for name, line in named if name is None or name[1] in known)


def test_this_build_has_every_setting_of_these_tests() -> None:
    text = config_text("redis://127.0.0.1:6379/0", "http://127.0.0.1:1", 8080, make_secrets())

    assert settings_of(Path(ROOT), text) == text


@dataclass
class Instance:
    """An instance of the service, which can be restarted with another build."""

    directory: Path
    deployment: Deployment

    @classmethod
    def start(
        cls, build: Path, redis: Server, sandbox: SandboxServer, deployment_secrets: Secrets, directory: Path
    ) -> Instance:
        directory.mkdir()
        port = free_port()
        text = config_text(redis.url, sandbox.url, port, deployment_secrets).replace(
            "workers = 2", "workers = 1"
        )
        (directory / "config.toml").write_text(text, encoding="utf-8")
        log = directory / "service.log"
        deployment = Deployment(
            f"http://127.0.0.1:{port}", deployment_secrets, sandbox, redis, log, _serve(build, directory)
        )
        return cls(directory, deployment)

    @property
    def port(self) -> int:
        return int(self.deployment.url.rsplit(":", 1)[1])

    def restart(self, build: Path) -> int:
        """Stop it by SIGTERM, and start *build* in its place; return the exit code."""
        self.deployment.process.send_signal(signal.SIGTERM)
        code = self.deployment.process.wait(BOUND)
        self.deployment.process = _serve(build, self.directory)
        wait_until_ready(self.deployment)
        return code

    def call(self, path: str, body: object) -> Answer:
        return self.deployment.post(path, body)


def _serve(build: Path, directory: Path) -> subprocess.Popen[bytes]:
    config = directory / "config-of-build.toml"
    config.write_text(settings_of(build, (directory / "config.toml").read_text("utf-8")), encoding="utf-8")
    with (directory / "service.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "otp_service", "serve", "--config", str(config)],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(build), "PYTHONWARNINGS": "default"},
        )


# ── the load ──


@dataclass(frozen=True)
class Scenario:
    """Calls for one phone: one SMS, maybe a wrong code, maybe the right one."""

    phone: str
    address: str
    has_wrong_code: bool
    is_approved: bool


SCENARIOS = ((False, True), (True, True), (True, False))
"""Whether a wrong code is submitted, and whether the right one is."""


class Load:
    """Makes calls and remembers what was done and what failed. Thread-safe."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.scenarios: list[Scenario] = []
        self.failed: list[str] = []
        self.done = threading.Event()
        self._numbers = count()
        self._answers = 0
        self._changed = threading.Condition()

    def run(self, call: Call) -> None:
        """Run scenarios until `done` is set."""
        while not self.done.is_set():
            self.run_scenario(call, call)

    def run_scenario(self, request: Call, verify: Call) -> None:
        """Run the next scenario; *request* makes the call for the SMS, *verify* those with codes."""
        with self._changed:
            number = next(self._numbers)
        group = number // PHONES_PER_ADDRESS
        scenario = Scenario(
            new_phone(), f"198.18.{group // 250}.{group % 250 + 1}", *SCENARIOS[number % len(SCENARIOS)]
        )
        body = {"phone": scenario.phone, "purpose": "login", "client_ip": scenario.address}
        response = self._call(request, "/otp/request", body, 201)
        with self._changed:
            self.scenarios.append(scenario)
        if response is None:
            return
        code = self.deployment.code(scenario.phone)
        wrong = f"{(int(code) + 1) % 10**6:06d}"
        held = {
            "phone": scenario.phone,
            "verification_id": response.body["verification_id"],
            "client_ip": scenario.address,
        }
        if scenario.has_wrong_code:
            self._call(verify, "/otp/verify", {**held, "code": wrong}, 422)
        if scenario.is_approved:
            self._call(verify, "/otp/verify", {**held, "code": code}, 200)

    def wait_for(self, more: int) -> None:
        """Wait until *more* further calls are answered."""
        with self._changed:
            goal = self._answers + more
            assert self._changed.wait_for(lambda: self._answers >= goal, BOUND)

    def _call(self, call: Call, path: str, body: object, expected: int) -> Answer | None:
        answer = None
        try:
            answer = call(path, body)
            problem = "" if answer.status == expected else f"{path}: {answer.status} {answer.text}"
        except (OSError, ValueError) as error:
            problem = f"{path}: {error!r}"
        with self._changed:
            if problem:
                self.failed.append(problem)
            self._answers += 1
            self._changed.notify_all()
        return None if problem else answer


# ── what was counted ──


class Counts:
    """The counts in Redis, read with the operator's commands."""

    def __init__(self, instance: Instance) -> None:
        session = open_session(instance.directory / "config.toml")
        self._keyring = session.settings.keyring()
        self._admin: AdminStore = session.admin

    def of_phone(self, phone: str) -> tuple[int, int, int, bool]:
        """Return SMS and failures of a day, consecutive failures, and whether the phone was ever verified."""
        used = self._admin.phone_usage(self._keyring.phone_hash(phone), PhoneLimits(), 5)
        return used.sends_in(DAY), used.failures_in(DAY), used.consecutive_failures, used.is_known

    def of_address(self, address: str) -> tuple[int, int, int]:
        """Return the unverified SMS of an hour and of a day, and the verified phones."""
        ip_hash = base64.urlsafe_b64encode(self._keyring.ip_hash(address)).decode()
        used = self._admin.ip_usage(ip_hash, IpLimits())
        return used.sends_in_hour, used.sends_in_day, used.verified_in_day

    def of_service(self) -> tuple[int, int]:
        """Return the wrong codes of verifications that were not approved, and the approvals."""
        counted = self._admin.global_failures(GlobalFailureLimits(), SystemClock().now())
        return counted.wrong, counted.approved


def expected_of_addresses(scenarios: list[Scenario]) -> dict[str, tuple[int, int, int]]:
    sent = Counter(scenario.address for scenario in scenarios)
    approved = Counter(scenario.address for scenario in scenarios if scenario.is_approved)
    return {
        address: (sent[address] - approved[address], sent[address] - approved[address], approved[address])
        for address in sent
    }


def budgets(redis: Server) -> set[int]:
    """Return the SMS that each budget of the day has counted."""
    with redis.client() as client:
        return {int(client.get(key).split()[1]) for key in client.scan_iter(f"{keys.PREFIX}budget:*")}


# ── the test ──


@pytest.fixture
def redis_of_its_own() -> Iterator[Server]:
    with running(redis_binary()) as server:
        yield server


def test_rolling_upgrade_and_rollback_fail_no_call_and_lose_no_count(
    previous_build: Path, redis_of_its_own: Server, tmp_path: Path
) -> None:
    redis, this_build, deployment_secrets = redis_of_its_own, Path(ROOT), make_secrets()
    with redis.client() as client:
        day = encoding.day(SystemClock().now())
        client.set(keys.global_failures(day), f"{EARLIER_FAILURES} 0", ex=DAY)
    account = replace(SandboxConfig.default({ACCESS_KEY_ID: ACCESS_KEY_SECRET}), inbox_size=100_000)
    with start_sandbox(account) as sandbox, ExitStack() as stack:
        first, second = instances = [
            Instance.start(previous_build, redis, sandbox, deployment_secrets, tmp_path / name)
            for name in ("first", "second")
        ]
        for instance in instances:
            stack.callback(lambda instance=instance: stop(instance.deployment.process))
        for instance in instances:
            wait_until_ready(instance.deployment)
        proxy = stack.enter_context(running_proxy("nginx", [instance.port for instance in instances]))
        threads = stack.enter_context(ThreadPoolExecutor(CALLERS))
        load = Load(first.deployment)

        def through_proxy(path: str, body: object) -> Answer:
            return proxy.call("POST", path, body, Authorization=f"Bearer {deployment_secrets.secret_key}")

        def run_across_builds() -> None:
            for _ in range(CROSSWISE // 2):
                load.run_scenario(first.call, second.call)
                load.run_scenario(second.call, first.call)

        calling = [threads.submit(load.run, through_proxy) for _ in range(CALLERS)]
        codes = []
        try:
            for instance, build in ((first, this_build), (second, this_build), (first, previous_build)):
                load.wait_for(BETWEEN)
                codes.append(instance.restart(build))
                run_across_builds()
            load.wait_for(BETWEEN)
        finally:
            load.done.set()
        for one in calling:
            one.result(BOUND)
        ready = [instance.deployment.get("/readyz").status for instance in instances]
        counts, scenarios = Counts(second), load.scenarios
        of_service = (
            EARLIER_FAILURES
            + sum(scenario.has_wrong_code and not scenario.is_approved for scenario in scenarios),
            sum(scenario.is_approved for scenario in scenarios),
        )

        assert load.failed == []
        assert (codes, ready) == ([0, 0, 0], [200, 200])
        for scenario in scenarios:
            wrong = int(scenario.has_wrong_code)
            failures_in_a_row = 0 if scenario.is_approved else wrong
            assert counts.of_phone(scenario.phone) == (1, wrong, failures_in_a_row, scenario.is_approved)
        assert budgets(redis) == {len(scenarios)}
        # Workers write these to Redis about twice a second.
        expected = expected_of_addresses(scenarios)
        assert eventually(lambda: {each: counts.of_address(each) for each in expected} == expected, 5)
        assert eventually(lambda: counts.of_service() == of_service, 5)
        with redis.client() as client:
            assert int(client.get(keys.schema()).split()[0]) >= schema.STORE_SCHEMA


# ── docs/upgrading.md ──


def test_commands_of_the_docs_switch_the_release_and_clear_the_version(
    redis_of_its_own: Server, tmp_path: Path
) -> None:
    """Run the blocks unchanged except for paths and ports; there is no unit to restart."""
    if shutil.which("redis-cli") is None or shutil.which("curl") is None:
        skip_or_fail("redis-cli or curl is not installed")
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/restarted\n')
    (tmp_path / "systemctl").chmod(0o755)
    for release in ("otp-service-0.1", "otp-service-0.2"):
        (tmp_path / release).mkdir()
    (tmp_path / "otp-service").symlink_to(tmp_path / "otp-service-0.1")
    switch, wait, clear = (block.text for block in blocks("docs/upgrading.md") if block.language == "sh")
    with running_service(redis_of_its_own, tmp_path) as service:

        def run(text: str) -> list[str]:
            for old, new in (
                ("/opt/", f"{tmp_path}/"),
                ("http://127.0.0.1:8080", service.url),
                ("redis-cli", f"redis-cli -p {redis_of_its_own.port}"),
            ):
                text = text.replace(old, new)
            path = f"{tmp_path}:{os.environ['PATH']}"
            lines = subprocess.check_output(["sh", "-euc", text], env={**os.environ, "PATH": path}, text=True)
            return lines.splitlines()

        assert run(switch) == []
        (ready,) = map(json.loads, run(wait))
        cleared = run(clear)

    assert (tmp_path / "otp-service").resolve() == tmp_path / "otp-service-0.2"
    assert (tmp_path / "restarted").read_text() == "restart otp-service\n"
    assert ready["status"] == "ready"
    assert cleared == [f"{schema.STORE_SCHEMA} {schema.OLDEST_COMPATIBLE_SCHEMA}", "1"]
