"""The metrics page while two workers serve, and after one of them has died."""

from __future__ import annotations

import os
import re
import signal
import stat
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from support import redis_servers
from support.deployment import Deployment, exchange, new_phone, running_service
from support.package_sources import ROOT
from support.redis_servers import Server, free_port
from support.waiting import eventually

from otp_service import __version__

CLIENT_IP = "203.0.113.77"
Values = dict[str, float]


class MonitoredService:
    """A service and its metrics page."""

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
    """A new Redis for each test, because some tests stop it."""
    with redis_servers.running(redis_servers.redis_binary()) as server:
        yield server


@pytest.fixture
def monitored(redis_server: Server, tmp_path: Path) -> Iterator[MonitoredService]:
    port = free_port()

    def with_metrics(text: str) -> str:
        return f"{text}\n[metrics]\nport = {port}\n"

    with running_service(redis_server, tmp_path, change=with_metrics) as service:
        yield MonitoredService(service, port)


def workers(service: Deployment) -> list[int]:
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()]


def verify_new_phone(service: Deployment) -> None:
    phone = new_phone()
    opened = service.request(phone, client_ip=CLIENT_IP).body
    assert service.verify(phone, opened["verification_id"], "000001").status == 422
    assert service.verify(phone, opened["verification_id"], service.code(phone)).status == 200
    assert service.request(phone, client_ip=CLIENT_IP).status == 429


def test_calls_of_all_workers_are_counted(monitored: MonitoredService) -> None:
    for _ in range(10):
        verify_new_phone(monitored.service)
    monitored.service.request("+8613800001001")

    assert eventually(lambda: monitored.values()["otp_service_http_requests_total{ok,verify}"] == 10, 10)
    values = monitored.values()
    assert values["otp_service_workers{}"] == 2
    assert values["otp_service_http_requests_total{wrong_code,verify}"] == 10
    assert values["otp_service_http_requests_total{cooldown_active,request}"] == 10
    assert values["otp_service_limits_hit_total{phone_cooldown}"] == 10
    assert values["otp_service_sms_sends_total{accepted,OK,main}"] == 10
    assert values["otp_service_sms_billable_total{CN,main}"] == 10
    assert values["otp_service_verifications_approved_total{CN,main}"] == 10
    assert values["otp_service_time_to_verify_seconds_count{main}"] == 10
    assert values["otp_service_http_request_duration_seconds_count{verify}"] == 20
    assert values["otp_service_redis_roundtrip_duration_seconds_count{}"] > 50
    assert values["otp_service_sends_in_flight_max{}"] == 2 * 56
    assert values["otp_service_redis_connections_max{}"] == 2 * (64 + 56)


def test_versions_and_every_process_are_on_the_page(monitored: MonitoredService) -> None:
    assert eventually(lambda: monitored.values()["otp_service_workers{}"] == 2, 20)
    processes = ["{main}", "{worker-1}", "{worker-2}"]
    assert names(monitored, "process_cpu_seconds_total") == processes
    (build,) = names(monitored, "otp_service_build_info")
    assert build.endswith(f",{__version__}}}")
    before = monitored.values()
    assert before["process_open_fds{worker-1}"] > 5

    os.kill(workers(monitored.service)[0], signal.SIGKILL)

    def is_replaced() -> bool:
        now = monitored.values()
        starts = [f"process_start_time_seconds{one}" for one in processes]
        return [now[start] > before[start] for start in starts].count(True) == 1

    assert eventually(is_replaced, 20)
    assert eventually(lambda: names(monitored, "process_resident_memory_bytes") == processes, 20)


def names(monitored: MonitoredService, metric: str) -> list[str]:
    """The labels of each series of *metric*."""
    return sorted(name.removeprefix(metric) for name in monitored.values() if name.startswith(f"{metric}{{"))


RULES = yaml.safe_load((Path(ROOT) / "deploy" / "prometheus" / "alerts.yml").read_text())["groups"][0][
    "rules"
]
SELECTOR = re.compile(r'(?<!")\b(otp_service_\w+)(?:\{([^}]*)\})?')
OF_REPORTS = "otp_service_queue_reads_total"
"""On the page of `otp-service consume-reports`: tests/faults/test_report_worker.py."""


def test_every_series_used_by_an_alert_exists_before_the_first_call(monitored: MonitoredService) -> None:
    assert eventually(lambda: monitored.values()["otp_service_workers{}"] == 2, 20)
    samples = [s for m in text_string_to_metric_families(monitored.page()) for s in m.samples]
    missing = set()
    for name, selector in {found for rule in RULES for found in SELECTOR.findall(rule["expr"])}:
        if name == OF_REPORTS:
            continue
        wanted = re.findall(r'(\w+)(=~|!=|=)"([^"]*)"', selector)
        alike = [
            s for s in samples if s.name == name and all(fits(s.labels[k], *rest) for k, *rest in wanted)
        ]
        if not alike:
            missing.add((name, selector))

    assert missing == set()
    assert [s for s in samples if s.name == "otp_service_verifications_approved_total"]


def fits(value: str, operator: str, wanted: str) -> bool:
    return (re.fullmatch(wanted, value) is not None) == (operator != "!=")


def test_calls_add_no_series_that_did_not_exist_with_value_0(monitored: MonitoredService) -> None:
    """Prometheus would miss the first increase of a series that first appears with the value 1."""
    assert eventually(lambda: monitored.values()["otp_service_workers{}"] == 2, 20)
    before = {name for name in monitored.values() if "_total{" in name}

    verify_new_phone(monitored.service)
    monitored.service.request("nonsense")
    monitored.service.post("/otp/nowhere", {})
    assert eventually(lambda: monitored.values()["otp_service_http_requests_total{not_found,none}"] == 1, 10)

    assert {name for name in monitored.values() if "_total{" in name} == before


def gauges_show_two_workers(monitored: MonitoredService) -> bool:
    values = monitored.values()
    return (
        values["otp_service_workers{}"] == 2
        and values["otp_service_sends_in_flight_max{}"] == 2 * 56
        and values["otp_service_route_state{main,ok}"] == 2
    )


def test_killed_worker_keeps_its_counts_and_loses_its_gauges(monitored: MonitoredService) -> None:
    for _ in range(6):
        verify_new_phone(monitored.service)
    assert monitored.values()["otp_service_http_requests_total{ok,verify}"] == 6
    (killed, other), files = workers(monitored.service), metrics_files(monitored.service)

    os.kill(killed, signal.SIGKILL)

    assert eventually(
        lambda: other in (now := workers(monitored.service)) and len(now) == 2 and killed not in now, 20
    )
    assert eventually(lambda: gauges_show_two_workers(monitored), 20)
    assert monitored.values()["otp_service_http_requests_total{ok,verify}"] == 6
    verify_new_phone(monitored.service)
    assert monitored.values()["otp_service_http_requests_total{ok,verify}"] == 7
    assert metrics_files(monitored.service) == files


def test_counters_survive_a_reload(monitored: MonitoredService) -> None:
    verify_new_phone(monitored.service)
    before, files = workers(monitored.service), metrics_files(monitored.service)
    for number in (1, 2):
        monitored.service.process.send_signal(signal.SIGHUP)
        assert eventually(
            lambda number=number: monitored.values()["otp_service_events_total{reloaded}"] == number, 20
        )
        assert eventually(lambda: gauges_show_two_workers(monitored), 20)
    verify_new_phone(monitored.service)

    assert monitored.values()["otp_service_http_requests_total{ok,verify}"] == 2
    assert not set(before) & set(workers(monitored.service))
    assert metrics_files(monitored.service) == files


def metrics_files(service: Deployment) -> set[Path]:
    """Return the metric files of the processes of *service*, and their folder."""
    (folder,) = {
        path.resolve().parent
        for path in Path(f"/proc/{service.process.pid}/fd").iterdir()
        if path.readlink().suffix == ".db"
    }
    return {folder, *folder.iterdir()}


def test_metric_files_are_private_and_deleted_at_the_end(monitored: MonitoredService) -> None:
    monitored.service.request(new_phone())
    files = metrics_files(monitored.service)
    folder = min(files)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    monitored.service.process.send_signal(signal.SIGTERM)
    monitored.service.process.wait(20)

    assert not folder.exists()


def test_failed_reload_is_counted(monitored: MonitoredService) -> None:
    config = monitored.service.log.parent / "config.toml"
    config.write_text(config.read_text().replace("sms_per_day = 100000", ""))
    monitored.service.process.send_signal(signal.SIGHUP)

    assert eventually(lambda: monitored.values()["otp_service_events_total{reload_failed}"] == 1, 20)


def test_redis_errors_are_counted(monitored: MonitoredService) -> None:
    monitored.service.redis.process.kill()
    monitored.service.redis.process.wait()
    assert monitored.service.request(new_phone()).status == 503

    def is_reported() -> bool:
        values = monitored.values()
        return values["otp_service_http_requests_total{store_unavailable,request}"] == 1

    assert eventually(is_reported, 10)
    assert [name for name in monitored.values() if name.startswith("otp_service_redis_errors_total{")]


def test_metrics_contain_no_personal_data_and_no_key(monitored: MonitoredService) -> None:
    service, phone = monitored.service, new_phone()
    opened = service.request(phone, client_ip=CLIENT_IP).body
    code = service.code(phone)
    proof = service.verify(phone, opened["verification_id"], code).body["proof"]
    service.post("/otp/redeem", {"proof": proof, "purpose": "login"})
    service.post(f"/otp/{phone}", {"phone": phone})
    service.post("/otp/verify", {phone: CLIENT_IP})
    assert eventually(lambda: monitored.values()["otp_service_http_requests_total{ok,redeem}"] == 1, 10)
    time.sleep(1.1)

    text, events = monitored.page(), service.log.read_text()
    hashes = set(re.findall(r'"(?:phone_hash|client_ip_hash|verification_hash)":"([^"]{8,})"', events))
    hidden = {phone, phone[3:], CLIENT_IP, code, proof, *vars(service.secrets).values(), *hashes}
    assert hashes
    assert [left[:4] for left in hidden if left in text.replace("0.000", "")] == []


def test_without_a_metrics_port_nothing_listens(redis_server: Server, tmp_path: Path) -> None:
    with running_service(redis_server, tmp_path) as service:
        assert service.request(new_phone()).status == 201
        names = [path.readlink().name for path in Path(f"/proc/{service.process.pid}/fd").iterdir()]
        assert len([name for name in names if name.startswith("socket:")]) <= 3


def test_occupied_metrics_port_is_an_error(redis_server: Server, tmp_path: Path) -> None:
    def taken(text: str) -> str:
        return f"{text}\n[metrics]\nport = {redis_server.port}\n"

    with (
        pytest.raises(AssertionError, match="metrics: cannot listen"),
        running_service(redis_server, tmp_path, change=taken),
    ):
        pass
