"""gunicorn with `preload_app`: the service and a login page are created and used before the fork."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from support.deployment import (
    ACCESS_KEY_ID,
    ACCESS_KEY_SECRET,
    Answer,
    config_text,
    exchange,
    make_secrets,
    new_phone,
    post,
    stop,
)
from support.redis_servers import Server, free_port, skip_or_fail

from otp_service.sandbox.config import SandboxConfig
from otp_service.sandbox.server import SandboxServer, start_sandbox

PEOPLE = 24

SERVICE = """
import pathlib
from otp_service import create_app
from otp_service.settings import load

app = create_app(load(pathlib.Path({config!r}), {{}}))
with app.test_client() as early:  # Redis and the provider are connected before the fork
    assert early.get("/readyz").status_code == 200
    body = {{"phone": {phone!r}, "purpose": "login"}}
    headers = {{"Authorization": "Bearer {key}"}}
    assert early.post("/otp/request", json=body, headers=headers).status_code == 201
"""

LOGIN = """
import flask
from otp_service_client import InvalidProof, OtpClient

otp = OtpClient({url!r}, {key!r})
try:
    otp.redeem("x.y.z", purpose="login")  # the client is connected before the fork
except InvalidProof:
    pass
app = flask.Flask("login")

@app.post("/login")
def login():
    return {{"phone": otp.redeem(flask.request.get_json()["proof"], purpose="login").phone}}

@app.get("/readyz")
def ready():
    return ""
"""


@dataclass
class Site:
    """A preloaded service and a preloaded login page that uses it."""

    service: str
    login: str
    key: str
    sandbox: SandboxServer
    log: Path
    master: subprocess.Popen[bytes]

    def post(self, path: str, body: object) -> Answer:
        return post(f"{self.service}{path}", body, Authorization=f"Bearer {self.key}")

    def log_in(self, phone: str) -> Answer:
        """Request a code, verify it and log in."""
        response = self.post("/otp/request", {"phone": phone, "purpose": "login"})
        assert response.status == 201, response.text
        with urlopen(f"{self.sandbox.inbox_url}.json?phone={quote(phone)}") as inbox:  # noqa: S310 - ours
            code = json.load(inbox)[0]["code"]
        body = {"phone": phone, "verification_id": response.body["verification_id"], "code": code}
        approved = self.post("/otp/verify", body)
        assert approved.status == 200, approved.text
        return post(f"{self.login}/login", {"proof": approved.body["proof"]})


@contextmanager
def preloaded(
    name: str, source: str, directory: Path, port: int
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    (directory / f"{name}.py").write_text(source)
    log = directory / f"{name}.log"
    options = [
        "--preload",
        "--no-control-socket",
        "--workers",
        "3",
        "--worker-class",
        "gthread",
        "--threads",
        "4",
        "--bind",
    ]
    command = [sys.executable, "-m", "gunicorn", *options, f"127.0.0.1:{port}", "--chdir", str(directory)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, f"{name}:app"], stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/readyz", process, log)
        yield process, log
    finally:
        stop(process)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if exchange("GET", url, None, {}).status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"gunicorn did not start:\n{log.read_text()}")


@pytest.fixture(scope="module")
def site(redis_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    try:
        import gunicorn  # noqa: F401, PLC0415 - an extra for tests
    except ImportError:
        skip_or_fail("gunicorn is not installed")
    directory, deployment_secrets = tmp_path_factory.mktemp("preload"), make_secrets()
    ports = free_port(), free_port()
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    with ExitStack() as stack:
        sandbox = stack.enter_context(
            start_sandbox(SandboxConfig.default({ACCESS_KEY_ID: ACCESS_KEY_SECRET}))
        )
        config = directory / "config.toml"
        config.write_text(config_text(redis_server.url, sandbox.url, ports[0], deployment_secrets))
        service = SERVICE.format(config=str(config), phone=new_phone(), key=deployment_secrets.secret_key)
        login = LOGIN.format(url=urls[0], key=deployment_secrets.secret_key)
        master, log = stack.enter_context(preloaded("service", service, directory, ports[0]))
        stack.enter_context(preloaded("login", login, directory, ports[1]))
        yield Site(urls[0], urls[1], deployment_secrets.secret_key, sandbox, log, master)


def test_each_user_is_logged_in_with_their_own_phone(site: Site) -> None:
    phones = [new_phone() for _ in range(PEOPLE)]
    with ThreadPoolExecutor(12) as people:
        answers = list(people.map(site.log_in, phones))

    assert [(answer.status, answer.body) for answer in answers] == [(200, {"phone": p}) for p in phones]


def test_replacement_workers_serve_too(site: Site) -> None:
    children = Path(f"/proc/{site.master.pid}/task/{site.master.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGTERM)
    wait_for(f"{site.service}/readyz", site.master, site.log)
    phones = [new_phone() for _ in range(PEOPLE)]
    with ThreadPoolExecutor(6) as people:
        answers = list(people.map(site.log_in, phones))

    assert [(answer.status, answer.body) for answer in answers] == [(200, {"phone": p}) for p in phones]


def test_every_worker_logs_and_request_ids_are_unique(site: Site) -> None:
    phones = [new_phone() for _ in range(6)]
    for phone in phones:
        site.log_in(phone)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and sum("redeem" in line for line in lines(site)) < len(phones):
        time.sleep(0.05)
    calls = [json.loads(line) for line in lines(site) if '"event":"http_request"' in line.replace(" ", "")]
    ids = [call["request_id"] for call in calls]

    assert len(ids) >= 3 * len(phones)
    assert len(set(ids)) == len(ids)


def lines(site: Site) -> list[str]:
    return [line for line in site.log.read_text().splitlines() if line.startswith("{")]
