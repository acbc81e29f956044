"""The page for Prometheus while two workers serve, and after one of them has died."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
from deployment import Deployment, exchange, new_phone, running_service
from prometheus_client.parser import text_string_to_metric_families
from servers import Server, free_port
from sms.doubles import eventually

CLIENT_IP = "203.0.113.77"
Values = dict[str, float]


class Watched:
    """A service and its page."""

    def __init__(self, service: Deployment, port: int) -> None:
        self.service = service
        self.url = f"http://127.0.0.1:{port}/metrics"

    def page(self) -> str:
        return exchange("GET", self.url, None, {}).text

    def values(self) -> Values:
        """Return the value of each series as `name{a,b}`, its labels in the order of their names."""
        found: Values = defaultdict(float)
        for metric in text_string_to_metric_families(self.page()):
            for sample in metric.samples:
                found[f"{sample.name}{{{','.join(sample.labels.values())}}}"] = sample.value
        return found


@pytest.fixture
def redis_server() -> Iterator[Server]:
    """One of each test's own: some of them end it."""
    with servers.running(servers.redis_binary()) as server:
        yield server


@pytest.fixture
def watched(redis_server: Server, tmp_path: Path) -> Iterator[Watched]:
    port = free_port()

    def with_metrics(text: str) -> str:
        return f"{text}\n[metrics]\nport = {port}\n"

    with running_service(redis_server, tmp_path, change=with_metrics) as service:
        yield Watched(service, port)


def workers(service: Deployment) -> list[int]:
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()]


def verify_somebody(service: Deployment) -> None:
    phone = new_phone()
    opened = service.request(phone, client_ip=CLIENT_IP).body
    assert service.verify(phone, opened["verification_id"], "000001").status == 422
    assert service.verify(phone, opened["verification_id"], service.code(phone)).status == 200
    assert service.request(phone, client_ip=CLIENT_IP).status == 429


def test_calls_of_all_workers_are_counted(watched: Watched) -> None:
    for _ in range(10):
        verify_somebody(watched.service)
    watched.service.request("+8613800001001")

    assert eventually(lambda: watched.values()["otp_service_calls_total{ok,verify}"] == 10, 10)
    values = watched.values()
    assert values["otp_service_workers{}"] == 2
    assert values["otp_service_calls_total{wrong_code,verify}"] == 10
    assert values["otp_service_calls_total{cooldown_active,request}"] == 10
    assert values["otp_service_limits_hit_total{phone_cooldown}"] == 10
    assert values["otp_service_sends_total{accepted,OK,main}"] == 10
    assert values["otp_service_sms_total{CN,main}"] == 10
    assert values["otp_service_approvals_total{CN,main}"] == 10
    assert values["otp_service_time_to_verify_seconds_count{main}"] == 10
    assert values["otp_service_call_seconds_count{verify}"] == 20
    assert values["otp_service_redis_seconds_count{}"] > 50
    assert values["otp_service_sends_in_flight_max{}"] == 2 * 56
    assert values["otp_service_redis_connections_max{}"] == 2 * (64 + 56)


def test_death_of_a_worker_takes_nothing_from_the_counts(watched: Watched) -> None:
    for _ in range(6):
        verify_somebody(watched.service)
    assert eventually(lambda: watched.values()["otp_service_calls_total{ok,verify}"] == 6, 10)
    for pid in workers(watched.service)[:1]:
        os.kill(pid, signal.SIGKILL)

    assert eventually(lambda: watched.values()["otp_service_workers{}"] == 2, 20)
    assert watched.values()["otp_service_calls_total{ok,verify}"] == 6


def test_a_reload_goes_on_counting(watched: Watched) -> None:
    verify_somebody(watched.service)
    watched.service.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: watched.values()["otp_service_events_total{reloaded}"] == 2, 20)
    verify_somebody(watched.service)

    assert eventually(lambda: watched.values()["otp_service_calls_total{ok,verify}"] == 2, 10)


def test_a_refused_reload_is_counted(watched: Watched) -> None:
    config = watched.service.log.parent / "config.toml"
    config.write_text(config.read_text().replace("sms_per_day = 100000", ""))
    watched.service.process.send_signal(signal.SIGHUP)

    assert eventually(lambda: watched.values()["otp_service_events_total{reload_refused}"] == 1, 20)


def test_trouble_with_redis_is_seen(watched: Watched) -> None:
    watched.service.redis.process.kill()
    watched.service.redis.process.wait()
    assert watched.service.request(new_phone()).status == 503

    def is_told() -> bool:
        values = watched.values()
        return (
            values["otp_service_calls_total{store_unavailable,request}"] == 1
            and values["otp_service_ledger_entries_lost_total{}"] > 0
        )

    assert eventually(is_told, 10)
    assert [name for name in watched.values() if name.startswith("otp_service_redis_errors_total{")]


def test_nothing_of_a_person_or_a_key_is_on_the_page(watched: Watched) -> None:
    service, phone = watched.service, new_phone()
    opened = service.request(phone, client_ip=CLIENT_IP).body
    code = service.code(phone)
    proof = service.verify(phone, opened["verification_id"], code).body["proof"]
    service.post("/otp/redeem", {"proof": proof, "purpose": "login"})
    service.post(f"/otp/{phone}", {"phone": phone})
    service.post("/otp/verify", {phone: CLIENT_IP})
    assert eventually(lambda: watched.values()["otp_service_calls_total{ok,redeem}"] == 1, 10)
    time.sleep(1.1)

    text, events = watched.page(), service.log.read_text()
    tags = set(re.findall(r'"(?:phone|address|verification_id)":"([^"]{8,})"', events))
    hidden = {phone, phone[3:], CLIENT_IP, code, proof, *vars(service.secrets).values(), *tags}
    assert tags
    assert [left[:4] for left in hidden if left in text.replace("0.000", "")] == []


def test_nobody_listens_without_a_port(redis_server: Server, tmp_path: Path) -> None:
    with running_service(redis_server, tmp_path) as service:
        assert service.request(new_phone()).status == 201
        names = [path.readlink().name for path in Path(f"/proc/{service.process.pid}/fd").iterdir()]
        assert len([name for name in names if name.startswith("socket:")]) <= 3


def test_a_port_that_is_taken_is_told(redis_server: Server, tmp_path: Path) -> None:
    def taken(text: str) -> str:
        return f"{text}\n[metrics]\nport = {redis_server.port}\n"

    with (
        pytest.raises(AssertionError, match="metrics: cannot listen"),
        running_service(redis_server, tmp_path, change=taken),
    ):
        pass
