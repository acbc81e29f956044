"""The whole service as in production: worker processes, a real Redis, and the sandbox as provider."""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

from requests.structures import CaseInsensitiveDict
from support.redis_servers import Server, free_port

from otp_service.domain.clients import key_digest
from otp_service.domain.crypto import Keyring
from otp_service.sandbox.config import DEFAULT_SIGN_NAME, SandboxConfig
from otp_service.sandbox.server import SandboxServer, start_sandbox

ACCESS_KEY_ID, ACCESS_KEY_SECRET = "testId", "testSecret"
TEMPLATES = {"login": "SMS_100000001", "signup": "SMS_100000002"}


@dataclass(frozen=True)
class Answer:
    """A response of the service."""

    status: int
    body: Any
    headers: Mapping[str, str]
    text: str


@dataclass
class Secrets:
    """All secrets of one deployment; tests search logs and responses for them."""

    secret_key: str
    root: str
    pseudonym_key: str
    proof_key: str


@dataclass
class Deployment:
    """A running service with its sandbox, Redis and log file."""

    url: str
    secrets: Secrets
    sandbox: SandboxServer
    redis: Server
    log: Path
    process: subprocess.Popen[bytes]

    def post(self, path: str, body: object, **headers: str) -> Answer:
        return post(f"{self.url}{path}", body, Authorization=f"Bearer {self.secrets.secret_key}", **headers)

    def get(self, path: str) -> Answer:
        return exchange("GET", f"{self.url}{path}", None, {})

    def request(self, phone: str, **more: object) -> Answer:
        return self.post("/otp/request", {"phone": phone, "purpose": "login", **more})

    def verify(self, phone: str, verification_id: str, code: str) -> Answer:
        return self.post("/otp/verify", {"phone": phone, "verification_id": verification_id, "code": code})

    def verification_hash(self, verification_id: str) -> str:
        """Return the hash that replaces a verification id in the store, in logs and at the provider."""
        pseudonym_key = base64.urlsafe_b64decode(self.secrets.pseudonym_key + "=")
        return Keyring({"any": pseudonym_key}, "any", pseudonym_key).verification_hash(verification_id)

    def inbox(self, phone: str) -> list[dict[str, Any]]:
        with urlopen(f"{self.sandbox.inbox_url}.json?phone={quote(phone)}") as answer:  # noqa: S310
            messages: list[dict[str, Any]] = json.load(answer)
        return messages

    def inbox_text(self) -> str:
        """Return the sandbox's inbox with the SMS to all phones, as JSON text."""
        with urlopen(f"{self.sandbox.inbox_url}.json") as answer:  # noqa: S310
            return str(answer.read().decode())

    def code(self, phone: str) -> str:
        return str(self.inbox(phone)[0]["code"])


def post(url: str, body: object, **headers: str) -> Answer:
    """Post *body*, as JSON unless it is bytes; underscores in header names become hyphens."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    return exchange("POST", url, text, {"Content-Type": "application/json", **renamed})


def exchange(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Answer:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        text = response.read().decode()
        is_json = "json" in (response.getheader("Content-Type") or "")
        response_headers = CaseInsensitiveDict(response.getheaders())
        return Answer(response.status, json.loads(text) if is_json and text else None, response_headers, text)
    finally:
        connection.close()


def workers(service: Deployment) -> list[int]:
    """Return the process ids of the running workers, the oldest first."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[1]) == service.process.pid and fields[0] != "Z":
                command = (path.parent / "cmdline").read_bytes()
                if b"resource_tracker" not in command:
                    found.append((int(fields[19]), int(path.parent.name)))
    return [pid for _, pid in sorted(found)]


def workers_that_answer(service: Deployment, calls: int = 6) -> set[int]:
    """Return the process ids of the workers that respond to *calls* calls in a row."""
    return {_worker_that_answers(service) for _ in range(calls)}


def _worker_that_answers(service: Deployment) -> int:
    """Return the process id of the worker that responds to a call, or 0 if it has closed the connection."""
    parts = urlsplit(service.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request("GET", "/readyz")
        own_address = connection.sock.getsockname()
        connection.getresponse().read()
        ends = f":{parts.port:04X} ", f":{own_address[1]:04X} "
        rows = Path("/proc/net/tcp").read_text().splitlines()
        row = next((row for row in rows if row.find(ends[0]) < row.find(ends[1]) and ends[0] in row), "")
        socket_name = f"socket:[{row.split()[9]}]" if row else ""
        return next((worker for worker in workers(service) if socket_name in _open_files(worker)), 0)
    finally:
        connection.close()


def _open_files(process: int) -> set[str]:
    found = set()
    for path in Path(f"/proc/{process}/fd").glob("*"):
        with suppress(OSError):
            found.add(str(path.readlink()))
    return found


def new_phone() -> str:
    """Return a random number that is not one of the sandbox's magic numbers."""
    return f"+86139{secrets.randbelow(10**8):08d}"


def at_once(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Make all *calls* in parallel, starting together."""
    barrier = threading.Barrier(len(calls))
    answers: list[Answer | None] = [None] * len(calls)

    def make_call(i: int) -> None:
        barrier.wait()
        answers[i] = calls[i]()

    threads = [threading.Thread(target=make_call, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answer for answer in answers if answer is not None]


def config_text(
    redis_url: str, sandbox_url: str, port: int, deployment_secrets: Secrets, extra: str = ""
) -> str:
    """Return the text of a configuration file; *extra* is inserted before the routes."""
    templates = "".join(
        f'[[routes.templates]]\npurpose = "{purpose}"\ntemplate_code = "{code}"\n'
        for purpose, code in TEMPLATES.items()
    )
    return f"""
[service]
sms_per_day = 100000
[server]
port = {port}
workers = 2
worker_connections = 64
[redis]
url = "{redis_url}"
[log]
level = "debug"
[keys]
active_kid = "2026a"
pseudonym_key = "{deployment_secrets.pseudonym_key}"
[keys.roots]
2026a = "{deployment_secrets.root}"
[purposes.login]
[purposes.signup]
[clients.shop]
secret_key_digests = ["{key_digest(deployment_secrets.secret_key)}"]
proof_keys = ["{deployment_secrets.proof_key}"]
sms_per_day = 90000
{extra}
[[routes]]
name = "main"
provider = "aliyun-sms"
access_key_id = "{ACCESS_KEY_ID}"
access_key_secret = "{ACCESS_KEY_SECRET}"
endpoint = "{sandbox_url}"
sign_name = "{DEFAULT_SIGN_NAME}"
{templates}
"""


def make_secrets() -> Secrets:
    return Secrets(
        secret_key=f"sk_{secrets.token_urlsafe(32)}",
        root=secrets.token_urlsafe(32),
        pseudonym_key=secrets.token_urlsafe(32),
        proof_key=secrets.token_urlsafe(32),
    )


SERVE = (sys.executable, "-m", "otp_service", "serve")
GUNICORN = (
    sys.executable,
    *("-m", "gunicorn", "-c", "python:otp_service.gunicorn_conf", "otp_service:create_app()"),
)


@contextmanager
def running_service(
    redis: Server,
    directory: Path,
    *,
    change: Callable[[str], str] = lambda text: text,
    sandbox_url: str = "",
    sandbox_config: Callable[[SandboxConfig, int], SandboxConfig] = lambda config, _: config,
    log: Path | None = None,
    page: str = "/readyz",
    command: Sequence[str] = SERVE,
) -> Iterator[Deployment]:
    """Run sandbox and service until the block ends.

    *change* edits the configuration; *sandbox_config* edits that of the sandbox, and gets the service's port.
    *log* is the file for the output of the service. *command* starts it with `OTP_SERVICE_CONFIG` in its
    environment; it is ready when a GET of *page* returns 200.
    """
    deployment_secrets = make_secrets()
    port = free_port()
    account = SandboxConfig.default({ACCESS_KEY_ID: ACCESS_KEY_SECRET})
    with start_sandbox(sandbox_config(account, port)) as sandbox:
        config = directory / "config.toml"
        config.write_text(
            change(config_text(redis.url, sandbox_url or sandbox.url, port, deployment_secrets)),
            encoding="utf-8",
        )
        log = log or directory / "service.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONWARNINGS": "default", "OTP_SERVICE_CONFIG": str(config)},
            )
        deployment = Deployment(f"http://127.0.0.1:{port}", deployment_secrets, sandbox, redis, log, process)
        try:
            wait_until_ready(deployment, page)
            if page == "/readyz":
                _wait_for_workers(deployment, config)
            yield deployment
        finally:
            stop(process)


def wait_until_ready(deployment: Deployment, page: str = "/readyz") -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and deployment.process.poll() is None:
        try:
            if deployment.get(page).status == 200:
                return
        except OSError:
            pass
        time.sleep(0.01)
    log = deployment.log.read_text() if deployment.log.is_file() else ""
    raise AssertionError(f"the service did not start:\n{log}")


def _wait_for_workers(deployment: Deployment, config: Path) -> None:
    """Wait until all workers have started: the first one answers before the last one is forked."""
    settings = tomllib.loads(config.read_text("utf-8"))
    expected = settings.get("server", {}).get("workers", 1)
    for _ in range(200):
        if len(workers(deployment)) >= expected:
            return
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
