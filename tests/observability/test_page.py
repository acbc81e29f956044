"""The metrics server, for one process and for several that count in files."""

from __future__ import annotations

import os
import platform
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from prometheus_client import values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families
from support.redis_servers import free_port

from otp_service import __version__
from otp_service.observability.metrics import Metrics, MetricsServer, SharedMetrics, WorkerGauges

Values = dict[str, float]


def series_at(port: int) -> Values:
    """Return the value of each series as `name{a,b}`, its labels in the order of their names."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value
        for metric in text_string_to_metric_families(text)
        for sample in metric.samples
    }


def test_page_shows_counters_without_their_creation_times() -> None:
    metrics = Metrics()
    metrics.emit("reloaded")
    metrics.emit("redis_roundtrip", duration_ms=3)

    with MetricsServer(metrics.registry, "127.0.0.1", 0) as page:
        found = series_at(page.port)

    assert found["otp_service_events_total{reloaded}"] == 1
    assert found["otp_service_redis_roundtrip_duration_seconds_count{}"] == 1
    assert [series for series in found if "_created" in series] == []


def test_closed_server_frees_its_port() -> None:
    registry = Metrics().registry
    with MetricsServer(registry, "127.0.0.1", 0) as page:
        port = page.port
        with pytest.raises(OSError, match="in use"):
            MetricsServer(registry, "127.0.0.1", port)
    MetricsServer(registry, "127.0.0.1", port).close()


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedMetrics]:
    """Return metrics for several processes. The test acts as all of them: `enter` switches to another one."""
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    metrics = SharedMetrics(slots=3)
    yield metrics
    metrics.close()


def totals(shared: SharedMetrics) -> Values:
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value
        for metric in MultiProcessCollector(None, str(shared.directory)).collect()
        for sample in metric.samples
    }


def work(shared: SharedMetrics, slot: int, alarm: int = 0) -> None:
    """Act as a new worker in *slot* that counts one event."""
    shared.enter(slot)
    shared.metrics.emit("reloaded")
    shared.metrics.emit("redis_roundtrip", duration_ms=3)
    gauges = WorkerGauges()
    gauges.workers.set(1)
    gauges.global_failure_level.set(alarm)


def test_counts_of_all_processes_are_added_up(shared: SharedMetrics) -> None:
    shared.metrics.emit("reloaded")
    work(shared, 1, alarm=2)
    work(shared, 2, alarm=1)

    found = totals(shared)
    assert found["otp_service_events_total{reloaded}"] == 3
    assert found["otp_service_redis_roundtrip_duration_seconds_bucket{0.005}"] == 2
    assert found["otp_service_workers{}"] == 2
    assert found["otp_service_global_failure_level{}"] == 2


def test_gauges_of_a_dead_worker_are_removed_and_its_counters_kept(shared: SharedMetrics) -> None:
    work(shared, 1, alarm=2)
    work(shared, 2)

    shared.worker_died(1)

    found = totals(shared)
    assert found["otp_service_events_total{reloaded}"] == 2
    assert found["otp_service_workers{}"] == 1
    assert found["otp_service_global_failure_level{}"] == 0


def test_next_worker_in_a_slot_continues_its_counters(shared: SharedMetrics) -> None:
    files = set(shared.directory.iterdir())
    for _ in range(3):
        work(shared, 1)
        shared.worker_died(1)

    shared.enter(0)
    assert totals(shared)["otp_service_events_total{reloaded}"] == 3
    assert set(shared.directory.iterdir()) == files


@pytest.mark.parametrize(
    ("taken", "slot"), [(set(), 1), ({1, 2}, 3), ({2}, 1), ({1, 3}, 2)], ids=["none", "two", "second", "gap"]
)
def test_new_worker_gets_the_lowest_free_slot(shared: SharedMetrics, taken: set[int], slot: int) -> None:
    assert shared.free_slot(taken) == slot


def test_space_of_every_file_is_reserved(shared: SharedMetrics) -> None:
    """Writing to a mapped file on a full disk without a reserved block raises SIGBUS."""
    shared.free_slot({1, 2})
    shared.worker_died(1)
    files = list(shared.directory.iterdir())

    assert len(files) == 4 * 4
    for file in files:
        assert file.stat().st_blocks * 512 >= file.stat().st_size >= 64 * 1024


def test_files_are_private_and_removed_on_close(shared: SharedMetrics) -> None:
    assert stat.S_IMODE(shared.directory.stat().st_mode) == 0o700

    shared.close()

    assert not shared.directory.exists()


# ── versions and processes ──


@pytest.fixture
def served(shared: SharedMetrics) -> int:
    """The port on which *shared* serves the metrics."""
    port = free_port()
    shared.listen("127.0.0.1", port)
    return port


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs until its standard input is closed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def processes(found: Values) -> set[str]:
    """The names of the processes whose memory is on the page."""
    series = "process_resident_memory_bytes"
    return {name.removeprefix(series) for name in found if name.startswith(series)}


def test_page_shows_the_versions(served: int) -> None:
    versions = f"{platform.python_version()},{__version__}"

    assert series_at(served)[f"otp_service_build_info{{{versions}}}"] == 1


def test_page_shows_every_process_under_the_name_of_its_slot(
    shared: SharedMetrics, served: int, worker: subprocess.Popen[bytes]
) -> None:
    assert processes(series_at(served)) == {"{main}"}

    shared.observe_workers(lambda: {2: worker.pid})

    found = series_at(served)
    assert processes(found) == {"{main}", "{worker-2}"}
    for process in ("main", "worker-2"):
        assert found[f"process_resident_memory_bytes{{{process}}}"] > 1024**2
        assert found[f"process_virtual_memory_bytes{{{process}}}"] > 1024**2
        assert 3 <= found[f"process_open_fds{{{process}}}"] < found[f"process_max_fds{{{process}}}"]
    born = [found[f"process_start_time_seconds{{{process}}}"] for process in ("main", "worker-2")]
    assert born[0] < born[1] <= time.time() + 1
    assert found["process_cpu_seconds_total{main}"] == pytest.approx(sum(os.times()[:2]), abs=1)


def test_process_that_has_ended_has_no_metrics(
    shared: SharedMetrics, served: int, worker: subprocess.Popen[bytes]
) -> None:
    shared.observe_workers(lambda: {1: worker.pid})
    assert processes(series_at(served)) == {"{main}", "{worker-1}"}

    worker.kill()
    worker.wait()

    assert processes(series_at(served)) == {"{main}"}
