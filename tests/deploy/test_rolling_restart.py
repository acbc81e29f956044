"""A rolling restart behind a proxy of deploy/: no call fails, and no SMS is requested twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.request import urlopen

import pytest
from support.deployment import (
    ACCESS_KEY_ID,
    ACCESS_KEY_SECRET,
    Deployment,
    Secrets,
    config_text,
    make_secrets,
    new_phone,
    stop,
    wait_until_ready,
)
from support.proxies import KINDS, Proxy, running_proxy
from support.redis_servers import Server, free_port

from otp_service.sandbox.config import SandboxConfig
from otp_service.sandbox.server import SandboxServer, start_sandbox

CALLERS = 4
CALLS_BETWEEN_RESTARTS = 40

BOUND = 60


@dataclass
class Instance:
    """An instance that can be stopped as an operator does, and started again."""

    config: Path
    deployment: Deployment

    @classmethod
    def started(
        cls, redis: Server, sandbox: SandboxServer, deployment_secrets: Secrets, directory: Path
    ) -> Instance:
        directory.mkdir()
        port = free_port()
        config = directory / "config.toml"
        text = config_text(redis.url, sandbox.url, port, deployment_secrets).replace(
            "workers = 2", "workers = 1"
        )
        config.write_text(text, encoding="utf-8")
        log = directory / "service.log"
        deployment = Deployment(
            f"http://127.0.0.1:{port}", deployment_secrets, sandbox, redis, log, _serve(config, log)
        )
        wait_until_ready(deployment)
        return cls(config, deployment)

    @property
    def port(self) -> int:
        return int(self.deployment.url.rsplit(":", 1)[1])

    def restart(self) -> int:
        """Stop it by SIGTERM and start it again; return the exit code."""
        self.deployment.process.send_signal(signal.SIGTERM)
        code = self.deployment.process.wait(BOUND)
        self.deployment.process = _serve(self.config, self.deployment.log)
        wait_until_ready(self.deployment)
        return code


def _serve(config: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "otp_service", "serve", "--config", str(config)],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONWARNINGS": "default"},
        )


@contextmanager
def two_instances(redis: Server, directory: Path) -> Iterator[list[Instance]]:
    deployment_secrets = make_secrets()
    account = SandboxConfig.default({ACCESS_KEY_ID: ACCESS_KEY_SECRET})
    with start_sandbox(replace(account, inbox_size=100_000)) as sandbox, ExitStack() as stack:
        instances = []
        for name in ("first", "second"):
            instance = Instance.started(redis, sandbox, deployment_secrets, directory / name)
            stack.callback(lambda instance=instance: stop(instance.deployment.process))
            instances.append(instance)
        yield instances


class Callers:
    """Threads that request and verify through the proxy until they are stopped."""

    def __init__(self, proxy: Proxy, deployment: Deployment) -> None:
        self.proxy, self.deployment = proxy, deployment
        self.done = threading.Event()
        self.answers: Counter[str] = Counter()
        self.failed: list[str] = []
        self.phones: list[str] = []
        self._changed = threading.Condition()

    def run(self) -> None:
        while not self.done.is_set():
            phone = new_phone()
            with self._changed:
                self.phones.append(phone)
            response = self._call("/otp/request", {"phone": phone, "purpose": "login"}, 201)
            if response:
                code = self.deployment.code(phone)
                known = {"phone": phone, "verification_id": response["verification_id"]}
                self._call("/otp/verify", {**known, "code": code}, 200)

    def _call(self, path: str, body: object, expected: int) -> dict[str, str] | None:
        key = self.deployment.secrets.secret_key
        try:
            answer = self.proxy.call("POST", path, body, Authorization=f"Bearer {key}")
            problem = "" if answer.status == expected else f"{path}: {answer.status} {answer.text}"
        except (OSError, ValueError) as error:
            problem = f"{path}: {error!r}"
        with self._changed:
            if problem:
                self.failed.append(problem)
            self.answers[path] += 1
            self._changed.notify_all()
        return None if problem else dict(answer.body)

    def wait_for(self, more: int) -> None:
        """Wait until *more* further calls are answered, successfully or not."""
        with self._changed:
            goal = self.answers.total() + more
            assert self._changed.wait_for(lambda: self.answers.total() >= goal, BOUND)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.instances == 2])
def test_rolling_restart_fails_no_call_and_sends_no_sms_twice(
    name: str, redis_server: Server, tmp_path: Path
) -> None:
    with (
        two_instances(redis_server, tmp_path) as instances,
        running_proxy(name, [instance.port for instance in instances]) as proxy,
        ThreadPoolExecutor(CALLERS) as threads,
    ):
        callers = Callers(proxy, instances[0].deployment)
        running = [threads.submit(callers.run) for _ in range(CALLERS)]
        codes = []
        try:
            for instance in instances:
                callers.wait_for(CALLS_BETWEEN_RESTARTS)
                codes.append(instance.restart())
            callers.wait_for(CALLS_BETWEEN_RESTARTS)
        finally:
            callers.done.set()
        for one in running:
            one.result(BOUND)
        with urlopen(f"{callers.deployment.sandbox.inbox_url}.json") as inbox:  # noqa: S310
            sent = Counter(message["phone"] for message in json.load(inbox))

    assert callers.failed == []
    assert codes == [0, 0]
    assert sent == Counter(callers.phones)
