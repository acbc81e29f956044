"""Prometheus metrics: counts of events, and gauges of each worker's state.

Names and labels are public. Label values come from the configuration or from this code, never from a request.
So no request can create a time series, and no phone number, IP address or key can become a label.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
    values,
)
from prometheus_client.core import InfoMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from otp_service import __version__
from otp_service.sms.aliyun.protocol.codes import CODES, PNVS_CODES

Facts = Mapping[str, Any]

ROUTE_STATES = ("ok", "paused", "open")

_REQUEST_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10)
_REDIS_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_VERIFY_BUCKETS = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600)

_NOT_FOUND, _MISSES_LIMIT = "verification_not_found", "address_misses_per_10_minutes"
_DELIVERED = frozenset({"delivered", "undelivered"})
_MAY_HAVE_BEEN_SENT = frozenset({"accepted", "unknown"})
_OWN_CODE = re.compile(r"local\.[a-z_]{1,40}|http_[0-9]{3}|destination_rejected")
"""Provider codes of this service itself and of its webhooks."""


class Metrics:
    """Implements `interfaces.EventLogger`: counts events in a registry of its own.

    `_handlers` has the events with metrics of their own. Every other event is counted by its name.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"otp_service_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(
                f"otp_service_{name}_seconds", text, labels, buckets=buckets, registry=self.registry
            )

        self.http_requests = counter(
            "http_requests", "HTTP requests by problem code; the code of a success is ok.", "endpoint", "code"
        )
        self.http_request_duration = histogram(
            "http_request_duration", "Time to respond to HTTP requests.", "endpoint", buckets=_REQUEST_BUCKETS
        )
        self.limits_hit = counter(
            "limits_hit", "Rejected requests by the limit or budget that was reached.", "limit"
        )
        self.lookup_misses = counter(
            "lookup_misses", "Requests about verifications that do not exist.", "client"
        )

        self.sms_sends = counter(
            "sms_sends",
            "SMS sends by the outcome reported to the caller.",
            "route",
            "outcome",
            "provider_code",
        )
        self.sms_billable = counter(
            "sms_billable", "SMS that the provider accepted or may have accepted.", "route", "country"
        )
        self.sms_deliveries = counter(
            "sms_deliveries", "SMS reported as delivered or undelivered.", "route", "delivery"
        )
        self.report_items = counter(
            "report_items", "Delivery reports and inbound SMS by processing result.", "result"
        )
        self.queue_reads = counter("queue_reads", "Reads of report queues by result.", "queue", "result")
        self.verifications_approved = counter(
            "verifications_approved", "Approved verifications.", "route", "country"
        )
        self.time_to_verify = histogram(
            "time_to_verify", "Time from issuing a code to its approval.", "route", buckets=_VERIFY_BUCKETS
        )

        self.risk_challenges = counter("risk_challenges", "Risk challenges by reason.", "reason")
        self.pumping_guard_blocks = counter(
            "pumping_guard_blocks", "Sends blocked by the pumping guard, by reason.", "reason"
        )
        self.pumping_guard_transitions = counter(
            "pumping_guard_transitions",
            "State changes of the pumping guard's scopes.",
            "kind",
            "action",
            "mode",
        )

        self.redis_roundtrip_duration = histogram(
            "redis_roundtrip_duration",
            "Duration of Redis round trips, including failed ones.",
            buckets=_REDIS_BUCKETS,
        )
        self.redis_errors = counter("redis_errors", "Failed Redis round trips by exception type.", "kind")
        self.counter_updates_lost = counter(
            "counter_updates_lost", "Counter updates that could not be written to Redis."
        )
        self.log_lines_dropped = counter(
            "log_lines_dropped", "Log lines dropped because they could not be written."
        )
        self.events = counter("events", "Log events without metrics of their own.", "event")
        self._handlers: Mapping[str, Callable[[Facts], None]] = {
            "http_request": self._http_request,
            "readiness_failed": self._http_request,
            "sms_send": self._sms_send,
            "redis_roundtrip": self._redis_roundtrip,
            "delivery_report": self._delivery_report,
            "delivery_report_batch": self._delivery_report_batch,
            "queue_read": self._queue_read,
            "delivery_lookup": self._delivery_lookup,
            "challenge_required": self._challenge_required,
            "pumping_guard_blocked": self._pumping_guard_blocked,
            "pumping_guard_state_changed": self._pumping_guard_state_changed,
            "redis_error": self._redis_error,
            "background_redis_error": self._redis_error,
            "counter_flush_failed": self._counter_flush_failed,
        }

    def emit(self, event: str, **facts: object) -> None:
        """Count *event*."""
        handler = self._handlers.get(event)
        if handler is None:
            self.events.labels(event).inc()
        else:
            handler(facts)

    def preinitialize_events(self, events: Iterable[str]) -> None:
        """Create a counter at 0 for each of *events* that has no metrics of its own."""
        for event in events:
            if event not in self._handlers:
                self.events.labels(event)

    def _http_request(self, facts: Facts) -> None:
        endpoint = facts["endpoint"]
        self.http_requests.labels(endpoint, facts["code"] or "ok").inc()
        self.http_request_duration.labels(endpoint).observe(facts["duration_ms"] / 1000)
        if "limit" in facts:
            self.limits_hit.labels(facts["limit"]).inc()
        if facts["code"] == _NOT_FOUND or facts.get("limit") == _MISSES_LIMIT:
            self.lookup_misses.labels(facts["client"]).inc()
        if "verified_after" in facts:
            self.verifications_approved.labels(facts["route"], facts["country"]).inc()
            self.time_to_verify.labels(facts["route"]).observe(facts["verified_after"])

    def _sms_send(self, facts: Facts) -> None:
        route, outcome = facts["route"], facts["outcome"]
        self.sms_sends.labels(route, outcome, provider_code(facts["provider_code"])).inc()
        if outcome in _MAY_HAVE_BEEN_SENT:
            self.sms_billable.labels(route, facts["country"]).inc()

    def _redis_roundtrip(self, facts: Facts) -> None:
        self.redis_roundtrip_duration.observe(facts["duration_ms"] / 1000)

    def _delivery_report(self, facts: Facts) -> None:
        self._delivery(facts["route"], facts["delivery"])

    def _delivery_lookup(self, facts: Facts) -> None:
        self._delivery(facts["route"], facts["status"])

    def _delivery(self, route: str, delivery: str) -> None:
        if delivery in _DELIVERED:
            self.sms_deliveries.labels(route, delivery).inc()

    def _delivery_report_batch(self, facts: Facts) -> None:
        for result, items in facts.items():
            self.report_items.labels(result).inc(items)

    def _queue_read(self, facts: Facts) -> None:
        self.queue_reads.labels(facts["queue"], facts["result"]).inc()

    def _challenge_required(self, facts: Facts) -> None:
        for reason in facts["reasons"]:
            self.risk_challenges.labels(reason).inc()

    def _pumping_guard_blocked(self, facts: Facts) -> None:
        for reason in facts["reasons"]:
            self.pumping_guard_blocks.labels(reason).inc()

    def _pumping_guard_state_changed(self, facts: Facts) -> None:
        """Label by the scope's kind only: the names of prefix and address scopes are keyed hashes."""
        kind = facts["scope"].partition(":")[0]
        self.pumping_guard_transitions.labels(kind, facts["action"], facts["mode"]).inc()

    def _redis_error(self, facts: Facts) -> None:
        self.redis_errors.labels(facts["kind"]).inc()

    def _counter_flush_failed(self, facts: Facts) -> None:
        self.counter_updates_lost.inc(facts["entries"])


def provider_code(code: str) -> str:
    """Return *code* if this service knows it, else `other`: a provider may return any text."""
    is_known = not code or code in CODES or code in PNVS_CODES or _OWN_CODE.fullmatch(code)
    return code if is_known else "other"


class WorkerGauges:
    """The state of one worker. Prometheus gets the sum or the maximum over all live workers."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        def total(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"otp_service_{name}", text, labels, multiprocess_mode="livesum", registry=registry)

        def highest(name: str, text: str) -> Gauge:
            return Gauge(f"otp_service_{name}", text, multiprocess_mode="livemax", registry=registry)

        self.workers = total("workers", "Worker processes that serve requests.")
        self.route_state = total(
            "route_state", "Workers in which a route is ok, paused or open.", "route", "state"
        )
        self.sends_in_flight = total("sends_in_flight", "Send permits in use by sends and delivery lookups.")
        self.sends_in_flight_max = total("sends_in_flight_max", "Send permits in total.")
        self.redis_connections_in_use = total(
            "redis_connections_in_use", "Redis connections with a round trip in progress."
        )
        self.redis_connections_max = total("redis_connections_max", "Maximum number of Redis connections.")
        # All workers agree on these two: the counts are in Redis, the queues in the configuration.
        self.global_failure_level = highest("global_failure_level", "Level of the day's wrong codes, 0 to 2.")
        self.report_queues = highest("report_queues", "Configured report queues.")

    def set_routes(self, states: Mapping[str, str]) -> None:
        """Set the state of each route to 1 and its other states to 0, as a series cannot be removed."""
        for route, current in states.items():
            for state in ROUTE_STATES:
                self.route_state.labels(route, state).set(state == current)


class BuildInfo(Collector):
    """Collects the versions of this service and of Python, as the labels of a metric that is always 1."""

    def collect(self) -> Iterator[Metric]:
        """Return the metric."""
        versions = {"version": __version__, "python": platform.python_version()}
        yield InfoMetricFamily("otp_service_build", "Version of the service and of Python.", versions)


class ProcessMetrics(Collector):
    """Collects CPU time, memory, open files and start time of the main process and of its workers.

    In multiprocess mode prometheus-client has none of these metrics. This collector runs its
    `ProcessCollector` for each process and adds the label `process`: `main`, or `worker-` and the number of
    the worker's slot. A new worker takes the slot of a dead one, so reloads and crashes add no series.
    """

    def __init__(self) -> None:
        self.worker_pids: Callable[[], Mapping[int, int]] = dict
        """Returns the process id of each worker, by its slot."""

    def collect(self) -> Iterable[Metric]:
        """Return the metrics. A process that has just ended has none. Without /proc, there are none."""
        processes = {"main": os.getpid()}
        processes |= {f"worker-{slot}": pid for slot, pid in sorted(self.worker_pids().items())}
        families: dict[str, Metric] = {}
        for process, pid in processes.items():
            for one in _process_metrics(pid):
                family = families.setdefault(one.name, Metric(one.name, one.documentation, one.type))
                for sample in one.samples:
                    family.add_sample(sample.name, {"process": process}, sample.value)
        return families.values()


def _process_metrics(pid: int) -> Iterable[Metric]:
    return ProcessCollector(pid=lambda: pid, registry=None).collect()


class MetricsServer:
    """Serves the metrics of *registry* in a thread. Close it, or use it as a context manager."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        """Start listening on *host* and *port*.

        Raises:
            OSError: it cannot listen there, for example because the port is in use.
        """
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._server, self._thread = start_http_server(port, host, registry)

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def release_port(self) -> None:
        """Close the socket inherited by a child process, so that the parent's exit frees the port."""
        with suppress(OSError):
            self._server.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SharedMetrics:
    """The metrics of a main process and of the workers that it forks, served as one.

    Each process counts in memory-mapped files: prometheus-client's multiprocess mode. A file belongs to a
    slot, not to a process id. A new worker takes the slot of a dead one and continues its counters, so
    reloads and crashes leave no files behind. Slot 0 is the main process.
    """

    _FILES: Mapping[str, int] = {
        "counter": 256 * 1024,
        "histogram": 256 * 1024,
        "gauge_livesum": 64 * 1024,
        "gauge_livemax": 64 * 1024,
    }
    """Bytes reserved for each file of a slot. Writing beyond them on a full disk would raise SIGBUS."""

    def __init__(self, slots: int) -> None:
        """Reserve disk space for *slots*.

        Raises:
            OSError: the files cannot be written.
        """
        self._slot = 0
        self._server: MetricsServer | None = None
        self._processes = ProcessMetrics()
        self.directory = Path(tempfile.mkdtemp(prefix="otp-service-metrics-"))
        try:
            for slot in range(slots):
                self._reserve(slot)
        except OSError:
            self._remove_files()
            raise
        # The documented way, setting this variable before Python starts, cannot do what is needed here.
        # prometheus-client then names the files by process id, so every replaced worker would leave files
        # that are read at each scrape, and their space could not be reserved in advance. It also reads the
        # variable when it is imported, before the settings say whether metrics are wanted. ValueClass is
        # the only way to use `process_identifier`, a documented parameter of MultiProcessValue.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self.directory)
        values.ValueClass = values.MultiProcessValue(lambda: self._slot)  # type: ignore[no-untyped-call]
        self.metrics = Metrics()

    def listen(self, host: str, port: int) -> None:
        """Serve the metrics of all processes on *host* and *port*.

        Raises:
            OSError: see `MetricsServer`.
        """
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(BuildInfo())
        registry.register(self._processes)
        self._server = MetricsServer(registry, host, port)

    def observe_workers(self, pids: Callable[[], Mapping[int, int]]) -> None:
        """Also serve metrics of the worker processes: *pids* returns the process id of each, by its slot."""
        self._processes.worker_pids = pids

    def free_slot(self, taken: Collection[int]) -> int:
        """Return the lowest slot that is not in *taken*, with its disk space reserved."""
        slot = next(number for number in count(1) if number not in taken)
        with suppress(OSError):
            self._reserve(slot)
        return slot

    def enter(self, slot: int) -> None:
        """Use *slot* in this process, a new worker."""
        self._slot = slot
        if self._server:
            self._server.release_port()

    def worker_died(self, slot: int) -> None:
        """Remove the gauges of the dead worker that used *slot*, and keep its counters."""
        mark_process_dead(slot)  # type: ignore[no-untyped-call]
        with suppress(OSError):
            self._reserve(slot)

    def stop_serving(self) -> None:
        """Stop serving the metrics."""
        if self._server:
            self._server.close()

    def close(self) -> None:
        """Stop serving the metrics, and remove the files."""
        self.stop_serving()
        self._remove_files()

    def _reserve(self, slot: int) -> None:
        for kind, size in self._FILES.items():
            path = self.directory / f"{kind}_{slot}.db"
            if not path.exists():
                path.write_bytes(bytes(size))

    def _remove_files(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
