"""`otp-service consume-reports` as a real process, with a real Redis and the queues of the sandbox."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from faults.provider_proxy import ProviderProxy
from support.deployment import (
    ACCESS_KEY_ID,
    ACCESS_KEY_SECRET,
    Answer,
    Deployment,
    at_once,
    exchange,
    new_phone,
    post,
    running_service,
)
from support.redis_servers import Server, free_port
from support.waiting import eventually

from otp_service import __version__
from otp_service.sandbox.config import DEFAULT_QUEUE_PREFIX, SandboxConfig
from otp_service.sandbox.server import start_sandbox

DEADLINE = 40
"""Seconds; much more than any of these tests needs on an idle machine."""

INVISIBLE_SECONDS = 2.0


@pytest.fixture(scope="module")
def behind_proxy(
    redis_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Deployment, ProviderProxy]]:
    """A service, and the proxy through which it reaches the sandbox of each test."""
    directory = tmp_path_factory.mktemp("service")
    with (
        ProviderProxy() as proxy,
        running_service(redis_server, directory, sandbox_url=proxy.url) as deployment,
    ):
        yield deployment, proxy


@pytest.fixture
def service(behind_proxy: tuple[Deployment, ProviderProxy]) -> Iterator[Deployment]:
    """The service with a sandbox whose queues are empty."""
    deployment, proxy = behind_proxy
    config = SandboxConfig.default({ACCESS_KEY_ID: ACCESS_KEY_SECRET})
    with start_sandbox(replace(config, invisible_seconds=INVISIBLE_SECONDS)) as sandbox:
        proxy.provider_port = sandbox.port
        yield replace(deployment, sandbox=sandbox)


@dataclass
class Worker:
    """A process of `otp-service consume-reports`."""

    process: subprocess.Popen[bytes]
    log: Path

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [line for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [event for line in lines if (event := json.loads(line))["event"] == name]

    def total(self, name: str) -> int:
        """Return the sum of the count *name* over all batches."""
        return sum(event[name] for event in self.events("delivery_report_batch"))

    def wait(self) -> int:
        return self.process.wait(DEADLINE)


def config_of(service: Deployment, *, redis_url: str = "", queues: Sequence[str], extra: str = "") -> Path:
    text = (service.log.parent / "config.toml").read_text()
    if redis_url:
        text = text.replace(f'url = "{service.redis.url}"', f'url = "{redis_url}"\nread_timeout = 5.0')
    names = "".join(
        f'{setting} = "{DEFAULT_QUEUE_PREFIX}{name}"\n' for setting, name in map(str.split, queues)
    )
    at = f'endpoint = "{service.sandbox.url}"\nqueue_endpoint = "{service.sandbox.url}"\n'
    path = service.log.parent / f"worker-{time.monotonic_ns()}.toml"
    path.write_text(f'{text}\n[reports.queue]\nroute = "main"\n{names}{at}{extra}')
    return path


@contextmanager
def working(
    service: Deployment,
    *options: str,
    redis_url: str = "",
    queues: Sequence[str] = ("report_queue SmsReport", "inbound_queue SmsUp"),
    extra: str = "",
) -> Iterator[Worker]:
    config = config_of(service, redis_url=redis_url, queues=queues, extra=extra)
    log = config.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "otp_service", "consume-reports", "--config", str(config), *options],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Worker(process, log)
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Opened:
    """A verification whose SMS was sent."""

    phone: str
    verification_id: str


def open_verifications(service: Deployment, phones: Sequence[str]) -> list[Opened]:
    answers = at_once([lambda phone=phone: service.request(phone) for phone in phones])  # type: ignore[misc]
    assert [answer.status for answer in answers] == [201] * len(phones)
    return [
        Opened(phone, answer.body["verification_id"]) for phone, answer in zip(phones, answers, strict=True)
    ]


def delivery(service: Deployment, opened: Opened) -> str:
    """Return the delivery status; repeat the call while the store is too slow on a busy machine."""
    body = {"phone": opened.phone, "verification_id": opened.verification_id}
    answers: list[Answer] = []
    assert eventually(
        lambda: answers.append(service.post("/otp/status", body)) or answers[-1].status == 200, DEADLINE
    )
    return str(answers[-1].body["delivery"])


def deliveries(service: Deployment, opened: Sequence[Opened]) -> list[str]:
    return [delivery(service, one) for one in opened]


def nothing_is_left(service: Deployment) -> bool:
    """Return whether the queues stay empty even after received messages become visible again."""
    threading.Event().wait(INVISIBLE_SECONDS)
    with working(service, "--once") as worker:
        assert worker.wait() == 0
        return worker.events("queue_batch") == []


class FreezingProxy:
    """Forwards *scripts* scripts to a Redis; the next one sets `frozen` and is held."""

    def __init__(self, redis: Server, scripts: int) -> None:
        self._redis = redis
        self._left = scripts
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.frozen = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def close(self) -> None:
        for open_socket in [self._listener, *self._sockets]:
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
            open_socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._redis.port))
                self._sockets += [near, far]
                threading.Thread(target=self._pass_on, args=(near, far, True), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(far, near, False), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_counted: bool) -> None:  # noqa: FBT001 - of a thread
        with suppress(OSError):
            while data := source.recv(65536):
                if is_counted and not self._may_pass(data):
                    self.frozen.set()
                    return
                target.sendall(data)

    def _may_pass(self, data: bytes) -> bool:
        with self._lock:
            if b"EVALSHA" in data.upper():
                self._left -= 1
            return self._left >= 0


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[FreezingProxy]:
    proxy = FreezingProxy(redis_server, scripts=7)
    yield proxy
    proxy.close()


# ── reports and inbound SMS ──


def test_reports_from_the_queue_reach_the_status(service: Deployment) -> None:
    arriving = open_verifications(service, [new_phone() for _ in range(20)])
    failing = open_verifications(service, ["+8613800007001", "+8613800007002"])
    with working(service) as worker:
        expected = ["delivered"] * 20 + ["undelivered"] * 2
        assert eventually(lambda: deliveries(service, arriving + failing) == expected, DEADLINE)

        late = open_verifications(service, [new_phone()])  # while the worker waits for a message
        assert eventually(lambda: deliveries(service, late) == ["delivered"], DEADLINE)
        assert eventually(lambda: worker.total("updated") == 23, DEADLINE)
        log = worker.log.read_text()

    assert '"event":"queue_error"' not in log
    assert [one.phone for one in arriving + failing + late if one.phone[3:] in log] == []


def test_inbound_sms_is_processed_without_logging_its_number_or_text(service: Deployment) -> None:
    phone = new_phone()
    sent = post(f"{service.sandbox.inbox_url}/reply", {"phone": phone, "content": "TD please"})
    assert sent.status == 201
    with working(service, "--once") as worker:
        assert worker.wait() == 0

    (event,) = worker.events("inbound_sms")
    log = worker.log.read_text()
    assert event["outcome"] == "dropped"
    assert phone[3:] not in log
    assert "please" not in log
    assert nothing_is_left(service)


# ── exit ──


def test_once_processes_the_waiting_messages_and_exits(service: Deployment) -> None:
    verification_ids = open_verifications(service, [new_phone() for _ in range(20)])
    with working(service, "--once") as worker:
        assert worker.wait() == 0

    assert deliveries(service, verification_ids) == ["delivered"] * 20
    assert nothing_is_left(service)


def test_once_fails_if_the_queue_does_not_exist(service: Deployment) -> None:
    with working(service, "--once", queues=["report_queue Elsewhere"]) as worker:
        assert worker.wait() == 1

    (error,) = worker.events("queue_error")
    assert (error["call"], error["code"]) == ("receive", "QueueNotExist")
    assert error["level"] == "warning"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_it_while_it_waits_for_messages(service: Deployment, how: signal.Signals) -> None:
    with working(service) as worker:
        assert eventually(lambda: worker.events("reports_started"), DEADLINE)
        began = time.monotonic()
        worker.process.send_signal(how)

        assert worker.wait() == 0
        assert time.monotonic() - began < 10  # it would wait for 20 s
    (started,) = worker.events("reports_started")
    assert (started["version"], started["queues"]) == (__version__, ["SmsReport", "SmsUp"])
    assert worker.events("reports_stopped")
    assert worker.events("queue_error") == []


def test_signal_lets_it_finish_the_current_message(service: Deployment, proxy: FreezingProxy) -> None:
    """The current message cannot be recorded; earlier ones are deleted, later ones stay in the queue."""
    verification_ids = open_verifications(service, [new_phone() for _ in range(16)])
    with working(service, redis_url=proxy.url) as worker:
        assert proxy.frozen.wait(DEADLINE)
        worker.process.terminate()

        assert worker.wait() == 0
    delivered = deliveries(service, verification_ids).count("delivered")
    assert 1 <= delivered <= 15
    (batch,) = worker.events("queue_batch")
    assert (batch["received"], batch["processed"]) == (16, delivered)
    assert worker.events("reports_stopped")

    with working(service) as second:
        assert eventually(lambda: deliveries(service, verification_ids) == ["delivered"] * 16, DEADLINE)
        assert eventually(lambda: second.total("updated") == 16 - delivered, DEADLINE)


def test_missing_queue_configuration_is_an_error(service: Deployment) -> None:
    with working(service, queues=[]) as worker:
        assert worker.wait() == 2

    assert worker.log.read_text().splitlines() == [
        "The configuration has 1 error:",
        "  reports.queue: names no queue: set report_queue, inbound_queue or both",
    ]


def test_it_rejects_the_configurations_that_serve_rejects(service: Deployment, tmp_path: Path) -> None:
    config = tmp_path / "bad.toml"
    valid = (service.log.parent / "config.toml").read_text()
    config.write_text(valid.replace("sms_per_day = 100000\n", ""))
    command = [sys.executable, "-m", "otp_service", "consume-reports", "--config", str(config)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)

    assert ended.returncode == 2
    assert "service.sms_per_day" in ended.stderr


# ── killed in the middle of a batch ──


def test_kill_in_the_middle_of_a_batch_loses_no_report(service: Deployment, proxy: FreezingProxy) -> None:
    """All sixteen are received; some are recorded and not deleted, one is being recorded, the rest wait."""
    verification_ids = open_verifications(service, [new_phone() for _ in range(16)])
    with working(service, redis_url=proxy.url) as first:
        assert proxy.frozen.wait(DEADLINE)
        os.kill(first.process.pid, signal.SIGKILL)
        assert first.wait() == -signal.SIGKILL
    delivered = deliveries(service, verification_ids).count("delivered")
    assert 1 <= delivered <= 15
    assert first.events("queue_batch") == []  # nothing was deleted

    with working(service) as second:
        assert eventually(lambda: deliveries(service, verification_ids) == ["delivered"] * 16, DEADLINE)
        assert eventually(lambda: second.total("updated") + second.total("repeated") >= 16, DEADLINE)
        second.process.terminate()
        assert second.wait() == 0

    assert second.total("updated") == 16 - delivered
    assert second.total("repeated") >= delivered
    assert nothing_is_left(service)


def test_duplicate_reports_change_nothing(service: Deployment) -> None:
    (opened,) = open_verifications(service, ["+8613800007013"])  # the sandbox reports it twice
    with working(service, "--once") as worker:
        assert worker.wait() == 0

    assert (worker.total("updated"), worker.total("repeated")) == (1, 1)
    assert delivery(service, opened) == "delivered"


# ── the store fails ──


def test_report_that_could_not_be_recorded_is_received_again(
    service: Deployment, proxy: FreezingProxy
) -> None:
    verification_ids = open_verifications(service, [new_phone() for _ in range(16)])
    with working(service, "--once", redis_url=proxy.url) as worker:
        assert proxy.frozen.wait(DEADLINE)
        proxy.close()  # the connection ends, and there is no other

        assert worker.wait() == 1
    delivered = deliveries(service, verification_ids).count("delivered")
    assert 1 <= delivered <= 15
    assert [batch["processed"] for batch in worker.events("queue_batch")] == [delivered]

    with working(service) as second:
        assert eventually(lambda: deliveries(service, verification_ids) == ["delivered"] * 16, DEADLINE)
        assert eventually(lambda: second.total("updated") == 16 - delivered, DEADLINE)
    assert nothing_is_left(service)


# ── its metrics ──


def test_deliveries_are_on_the_commands_own_metrics_page(service: Deployment) -> None:
    port = free_port()
    verification_ids = open_verifications(service, [new_phone() for _ in range(3)])

    def page() -> str:
        return exchange("GET", f"http://127.0.0.1:{port}/metrics", None, {}).text

    def is_counted() -> bool:
        text = page()
        reads = re.search(r'otp_service_queue_reads_total\{queue="SmsReport",result="ok"} (\d+)', text)
        failures = 'otp_service_queue_reads_total{queue="SmsUp",result="failed"} 0.0' in text
        delivered = 'otp_service_sms_deliveries_total{delivery="delivered",route="main"} 3.0' in text
        return delivered and failures and reads is not None and int(reads[1]) > 0

    with working(service, extra=f"[metrics]\nreports_port = {port}\n") as worker:
        assert eventually(lambda: deliveries(service, verification_ids) == ["delivered"] * 3, DEADLINE)
        assert eventually(is_counted, 10)
        assert f'version="{__version__}"}} 1.0' in page()
        assert 'process_open_fds{process="main"}' in page()
        worker.process.send_signal(signal.SIGTERM)
        assert worker.wait() == 0
