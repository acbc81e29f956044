"""SIGHUP under load: keys, routes and limits change without a failed call."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from faults.provider_proxy import ProviderProxy, drop_answer, pass_through
from support.deployment import Deployment, new_phone, running_service
from support.redis_servers import Server
from support.waiting import eventually

WORKERS = 2


def events(service: Deployment, name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.endswith("}")]
    return [line for line in lines if line.get("event") == name]


def workers(service: Deployment) -> set[int]:
    """Return the process ids of the workers that serve."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    return {int(pid) for pid in children if b"tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()}


def configure(service: Deployment, *changes: tuple[str, str]) -> None:
    path = service.log.parent / "config.toml"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def reload(service: Deployment) -> None:
    """Reload the configuration, and wait until all workers use it."""
    before = len(events(service, "reloaded"))
    service.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: len(events(service, "reloaded")) == before + 1, 20)


def refuse(service: Deployment) -> list[str]:
    """Reload an invalid configuration, and return the reported issues."""
    before = len(events(service, "reload_failed"))
    service.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: len(events(service, "reload_failed")) > before, 20)
    issues: list[str] = events(service, "reload_failed")[-1]["issues"]
    return issues


@dataclass
class Load:
    """Users who verify one phone after the other, and connections used until the server closes them."""

    service: Deployment
    over: threading.Event = field(default_factory=threading.Event)
    outcomes: Counter[str] = field(default_factory=Counter)

    def verify_phones(self) -> None:
        while not self.over.is_set():
            phone = new_phone()
            response = self.service.request(phone)
            self.outcomes[f"request {response.status}"] += 1
            verified = self.service.verify(phone, response.body["verification_id"], self.service.code(phone))
            self.outcomes[f"verify {verified.status}"] += 1
            proof = {"proof": verified.body["proof"], "purpose": "login"}
            self.outcomes[f"redeem {self.service.post('/otp/redeem', proof).status}"] += 1

    def use_one_connection(self) -> None:
        """Make calls, on a new connection only after an answer that closes the last one."""
        while not self.over.is_set():
            with closing(http.client.HTTPConnection(urlsplit(self.service.url).netloc, timeout=30)) as opened:
                self.make_calls(opened)

    def make_calls(self, connection: http.client.HTTPConnection) -> None:
        connection.auto_open = 0  # type: ignore[assignment]  # a second connection would hide the end of this one
        connection.connect()
        will_close = False
        while not (will_close or self.over.is_set()):
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            answer.read()
            will_close = answer.will_close
            self.outcomes[f"healthz {answer.status}"] += 1
            time.sleep(0.01)


@contextmanager
def under_load(service: Deployment) -> Iterator[Load]:
    load = Load(service)
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(load.verify_phones) for _ in range(2)] + [
            pool.submit(load.use_one_connection) for _ in range(2)
        ]
        try:
            yield load
        finally:
            load.over.set()
        for future in running:
            future.result(30)


@pytest.fixture
def service(redis_server: Server, tmp_path: Path) -> Iterator[Deployment]:
    with running_service(redis_server, tmp_path) as running:
        yield running


def a_second_route(service: Deployment) -> tuple[str, str]:
    """Return a change that adds a route before the first one, with the same target."""
    first = service.log.parent.joinpath("config.toml").read_text().partition("[[routes]]\n")[2]
    second = first.replace('"main"', '"second"', 1)
    return "[[routes]]\n", f"[[routes]]\n{second}\n[[routes]]\n"


def test_f33_keys_routes_and_limits_change_under_load(service: Deployment) -> None:
    early, late = new_phone(), new_phone()
    opened = service.request(early).body["verification_id"]
    code = service.code(early)
    verification_id = service.request(late).body["verification_id"]
    proof = service.verify(late, verification_id, service.code(late)).body["proof"]
    before = workers(service)
    new_root, new_proof_key = secrets.token_urlsafe(32), secrets.token_urlsafe(32)

    with under_load(service) as load:
        time.sleep(0.5)
        # Old and new workers answer for a moment: a key must be known to all before it is used.
        old = service.secrets.proof_key
        configure(
            service,
            ("[keys.roots]", f'[keys.roots]\n2026b = "{new_root}"'),
            (f'"{old}"', f'"{old}", "{new_proof_key}"'),
            ("[log]", "[codes]\nmax_sends = 2\n[log]"),
            a_second_route(service),
        )
        reload(service)
        time.sleep(0.5)
        configure(
            service,
            ('active_kid = "2026a"', 'active_kid = "2026b"'),
            (f'"{old}", "{new_proof_key}"', f'"{new_proof_key}", "{old}"'),
        )
        reload(service)
        assert service.verify(early, opened, code).status == 200
        assert service.post("/otp/redeem", {"proof": proof, "purpose": "login"}).status == 200
        fresh = service.request(new_phone())

    assert {key.partition(" ")[2] for key in load.outcomes} == {"200", "201"}
    assert {"request 201", "verify 200", "redeem 200", "healthz 200"} == set(load.outcomes)
    assert fresh.body["sends_left"] == 1
    assert [route["name"] for route in service.get("/readyz").body["routes"]] == ["second", "main"]
    assert eventually(lambda: events(service, "sms_send")[-1]["route"] == "second", 10)
    assert len(workers(service)) == WORKERS
    assert workers(service).isdisjoint(before)
    assert [event["restart_required"] for event in events(service, "reloaded")] == [[]] * 2
    assert events(service, "reload_failed") == []


def test_f33_removed_key_is_rejected_after_a_reload(service: Deployment) -> None:
    phone = new_phone()
    response = service.request(phone)
    proof = service.verify(phone, response.body["verification_id"], service.code(phone)).body["proof"]
    configure(service, (service.secrets.proof_key, secrets.token_urlsafe(32)))
    reload(service)

    assert service.post("/otp/redeem", {"proof": proof, "purpose": "login"}).body["code"] == "invalid_proof"


def test_sends_in_flight_finish_in_the_old_workers(redis_server: Server, tmp_path: Path) -> None:
    with ProviderProxy() as proxy, running_service(redis_server, tmp_path, sandbox_url=proxy.url) as service:
        proxy.provider_port = service.sandbox.port
        proxy.behavior = drop_answer
        phones = [new_phone() for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            requests = [pool.submit(service.request, phone) for phone in phones]
            assert eventually(lambda: proxy.requests == 6, 20)
            proxy.behavior = pass_through
            configure(service, ('name = "main"', 'name = "renamed"'))
            reload(service)
            assert service.request(new_phone()).status == 201
            answers = [request.result(30) for request in requests]

        assert eventually(lambda: len(events(service, "sms_send")) == 7, 10)
        routes = Counter((event["route"], event["outcome"]) for event in events(service, "sms_send"))

    # The provider never answers, so each caller gets an unknown outcome within the deadline.
    assert [answer.status for answer in answers] == [202] * 6
    assert routes == {("main", "unknown"): 6, ("renamed", "accepted"): 1}


SECRET = "a-secret-in-the-wrong-place"


@pytest.fixture(scope="module")
def unchanged_service(redis_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A service whose configuration file is valid again after each test."""
    with running_service(redis_server, tmp_path_factory.mktemp("service")) as running:
        yield running


@contextmanager
def configured(service: Deployment, *changes: tuple[str, str]) -> Iterator[None]:
    """Change the configuration file while the block runs."""
    path = service.log.parent / "config.toml"
    before = path.read_text()
    configure(service, *changes)
    try:
        yield
    finally:
        path.write_text(before)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (('active_kid = "2026a"', 'active_kid = "2027a"'), "keys.active_kid"),
        (('name = "main"', f'name = "main"\naccess_key = "{SECRET}"'), "routes[0].access_key"),
        (("[service]", f"[service]\nsecret = {SECRET}"), "config.toml"),
        (("sms_per_day = 100000", ""), "service.sms_per_day"),
        (('url = "redis://127.0.0.1:', 'url = "redis://127.0.0.1:1'), "redis.url"),
        (("[log]", "[sms]\nmax_in_flight = 64\n[log]"), "sms.max_in_flight"),
        (
            ("worker_connections = 64", "worker_connections = 128\n[sms]\nmax_in_flight = 100"),
            "sms.max_in_flight",
        ),
    ],
    ids=["keys", "form", "no-toml", "production", "redis", "content", "with-the-threads-that-there-are"],
)
def test_invalid_configuration_is_rejected_and_the_old_one_stays_in_use(
    unchanged_service: Deployment, change: tuple[str, str], where: str
) -> None:
    with configured(unchanged_service, change):
        issues = refuse(unchanged_service)

    assert [issue for issue in issues if issue.startswith(where)]
    assert unchanged_service.request(new_phone()).status == 201
    assert events(unchanged_service, "reloaded") == []
    assert SECRET not in unchanged_service.log.read_text()


def test_invalid_configuration_under_load_fails_no_call(unchanged_service: Deployment) -> None:
    before = workers(unchanged_service)
    with under_load(unchanged_service) as load:
        time.sleep(0.3)
        with configured(unchanged_service, ('active_kid = "2026a"', 'active_kid = "2027a"')):
            assert refuse(unchanged_service)
        time.sleep(0.3)

    assert {"request 201", "verify 200", "redeem 200", "healthz 200"} == set(load.outcomes)
    assert workers(unchanged_service) == before


def test_dead_worker_is_replaced_by_one_with_the_last_valid_settings(service: Deployment) -> None:
    configure(service, ('name = "main"', 'name = "renamed"'))
    reload(service)
    configure(service, ('active_kid = "2026a"', 'active_kid = "2027a"'))
    refuse(service)
    for pid in workers(service):
        os.kill(pid, signal.SIGKILL)

    def serves_again() -> bool:
        try:
            return service.get("/readyz").status == 200
        except OSError:
            return False

    assert eventually(serves_again, 20)
    assert service.request(new_phone()).status == 201
    assert eventually(lambda: [event["route"] for event in events(service, "sms_send")] == ["renamed"], 10)


def test_sighup_sent_to_a_worker_has_no_effect(service: Deployment) -> None:
    assert eventually(lambda: len(workers(service)) == WORKERS, 10)
    before = workers(service)
    for pid in before:
        os.kill(pid, signal.SIGHUP)
    time.sleep(1)

    assert service.request(new_phone()).status == 201
    assert workers(service) == before
    assert events(service, "reloaded") + events(service, "reload_failed") == []


def test_settings_that_need_a_restart_are_logged_and_not_applied(service: Deployment) -> None:
    configure(
        service,
        ("worker_connections = 64", "worker_connections = 65\nbacklog = 2048"),
        ("[log]", "[metrics]\nport = 9\n[log]"),
    )
    reload(service)

    assert {tuple(event["restart_required"]) for event in events(service, "reloaded")} == {
        ("server.worker_connections", "server.backlog", "metrics.port")
    }
    assert service.request(new_phone()).status == 201
