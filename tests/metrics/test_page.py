from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Barrier, Thread
from urllib.request import urlopen

import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from otp_service.metrics import FAMILIES, Gauge, Meter, Writer, families, sheet
from otp_service.metrics.meter import Reading
from otp_service.metrics.page import Page, Sheets


def gone() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def shown(sheets: Sheets) -> Mapping[str, Mapping[tuple[str, ...], float]]:
    return {
        metric.name: {tuple(s.labels.values()): s.value for s in metric.samples}
        for metric in sheets.collect()
    }


def reading(calls: float = 0, workers: float = 0) -> Reading:
    made = Reading()
    made.counters[families.CALLS.name, ("verify", "ok")] = calls
    made.gauges[families.WORKERS.name, ()] = workers
    return made


def test_processes_are_added_up(tmp_path: Path) -> None:
    sheet.write(tmp_path / f"{os.getpid()}.json", reading(calls=2, workers=1))
    sheet.write(tmp_path / f"{os.getppid()}.json", reading(calls=3, workers=1))

    found = shown(Sheets(tmp_path))

    assert found["otp_service_calls"] == {("verify", "ok"): 5}
    assert found["otp_service_workers"] == {(): 2}


def test_an_alarm_is_that_of_the_most_alarmed(tmp_path: Path) -> None:
    for pid, level in ((os.getpid(), 1), (os.getppid(), 2)):
        alarmed = Reading()
        alarmed.gauges[families.ALARM.name, ()] = level
        sheet.write(tmp_path / f"{pid}.json", alarmed)

    assert shown(Sheets(tmp_path))["otp_service_wrong_code_alarm"] == {(): 2}


def test_what_the_gone_have_counted_stays_and_their_gauges_go(tmp_path: Path) -> None:
    sheets = Sheets(tmp_path)
    sheet.write(tmp_path / f"{gone()}.json", reading(calls=2, workers=1))
    sheet.write(tmp_path / f"{os.getpid()}.json", reading(calls=3, workers=1))

    for _ in range(3):
        assert shown(sheets)["otp_service_calls"] == {("verify", "ok"): 5}
        assert shown(sheets)["otp_service_workers"] == {(): 1}
    assert [path.stem for path in tmp_path.iterdir()] == [str(os.getpid())]


def test_a_counter_without_labels_begins_with_nought(tmp_path: Path) -> None:
    """An alert on its increase would miss the first one otherwise."""
    assert shown(Sheets(tmp_path))["otp_service_ledger_entries_lost"] == {(): 0}


def test_every_family_is_on_the_page_as_it_is_described(tmp_path: Path) -> None:
    meter = Meter()
    writer = Writer(meter, tmp_path)
    gauges = []
    for family in FAMILIES:
        if family.kind == "gauge":
            gauges.append(Gauge(family, 1, family.labels))
        elif family.kind == "counter":
            meter.count(family, *family.labels)
        else:
            meter.observe(family, 1, *family.labels)
    writer.watch(lambda: gauges)
    writer.write()

    with Page(tmp_path, "127.0.0.1", 0) as page, urlopen(f"http://127.0.0.1:{page.port}/metrics") as answer:
        metrics = {metric.name: metric for metric in text_string_to_metric_families(answer.read().decode())}

    assert set(metrics) == {family.name.removesuffix("_total") for family in FAMILIES}
    for family in FAMILIES:
        metric = metrics[family.name.removesuffix("_total")]
        assert (metric.type, metric.documentation) == (family.kind, family.text)
        assert _labels(metric) == set(family.labels)


def _labels(metric: Metric) -> set[str]:
    return {name for sample in metric.samples for name in sample.labels} - {"le"}


def test_buckets_add_up_to_the_count(tmp_path: Path) -> None:
    meter = Meter()
    for seconds in (0.0001, 0.003, 0.003, 0.3, 60):
        meter.observe(families.REDIS_SECONDS, seconds)
    Writer(meter, tmp_path).write()
    (metric,) = [m for m in Sheets(tmp_path).collect() if m.name == families.REDIS_SECONDS.name]
    values = {(s.name.rpartition("_")[2], s.labels.get("le")): s.value for s in metric.samples}

    assert [values["bucket", le] for le in ("0.0005", "0.002", "0.005", "0.25", "0.5", "1", "+Inf")] == [
        *(1, 1, 3, 3, 4, 4, 5)
    ]
    assert values["count", None] == 5
    assert values["sum", None] == pytest.approx(60.3061)


def test_threads_lose_no_count() -> None:
    meter, barrier = Meter(), Barrier(8)

    def count() -> None:
        barrier.wait()
        for _ in range(2_000):
            meter.count(families.CALLS, "verify", "ok")
            meter.observe(families.REDIS_SECONDS, 0.001)

    threads = [Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = meter.read()

    assert found.counters[families.CALLS.name, ("verify", "ok")] == 16_000
    assert sum(found.histograms[families.REDIS_SECONDS.name, ()][:-1]) == 16_000


def test_a_full_disk_costs_metrics_only(tmp_path: Path) -> None:
    Writer(Meter(), tmp_path / "missing").write()


def test_a_writer_writes_once_more_when_it_ends(tmp_path: Path) -> None:
    meter = Meter()
    writer = Writer(meter, tmp_path)
    writer.start()
    meter.count(families.CALLS, "verify", "ok")
    writer.close()

    assert shown(Sheets(tmp_path))["otp_service_calls"] == {("verify", "ok"): 1}


def test_a_page_frees_its_port(tmp_path: Path) -> None:
    with Page(tmp_path, "127.0.0.1", 0) as page:
        port = page.port
        with pytest.raises(OSError, match="in use"):
            Page(tmp_path, "127.0.0.1", port)
    Page(tmp_path, "127.0.0.1", port).close()
