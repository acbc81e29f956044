"""Metrics for Prometheus: events as counts, and the state of each worker. Touches files and a port.

Names and labels are public. A label's values come from the configuration or from this code, never from a
caller: no request can add a series, and no phone number, address or key can be a label.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
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
    disable_created_metrics,
    start_http_server,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from otp_service.sms.aliyun.protocol.codes import CODES, PNVS_CODES

Facts = Mapping[str, Any]

ROUTE_STATES = ("ok", "paused", "open")

_CALL_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10)
_REDIS_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_VERIFY_BUCKETS = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600)

_NOT_FOUND, _MISSES_LIMIT = "verification_not_found", "address_misses_per_10_minutes"
_DELIVERED = frozenset({"delivered", "undelivered"})
_MAY_HAVE_BEEN_SENT = frozenset({"accepted", "unknown"})
_OWN_CODE = re.compile(r"local\.[a-z_]{1,40}|http_[0-9]{3}|destination_rejected")
"""The codes that this service and its webhooks write."""


class Metrics:
    """Counts events, in a registry of its own. Implements `interfaces.EventLogger`.

    Each event that means more than that it happened has a rule; every other event is counted by its name.
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
            "http_requests", "Calls of the API, by problem code; ok is a success.", "endpoint", "code"
        )
        self.http_request_duration = histogram(
            "http_request_duration", "How long calls took to answer.", "endpoint", buckets=_CALL_BUCKETS
        )
        self.limits_hit = counter("limits_hit", "Refusals, by the limit or budget that was full.", "limit")
        self.lookup_misses = counter(
            "lookup_misses", "Calls about verifications that do not exist.", "client"
        )

        self.sms_sends = counter(
            "sms_sends", "Sends, by what the caller was told of them.", "route", "outcome", "provider_code"
        )
        self.sms_billable = counter(
            "sms_billable", "SMS that were accepted, or may have been.", "route", "country"
        )
        self.sms_deliveries = counter(
            "sms_deliveries", "SMS whose arrival or loss was reported.", "route", "delivery"
        )
        self.report_items = counter(
            "report_items", "Items of reports and replies, by what became of them.", "result"
        )
        self.queue_reads = counter(
            "queue_reads", "Times that a queue of reports was asked for messages.", "queue", "result"
        )
        self.verifications_approved = counter(
            "verifications_approved", "Verifications that were approved.", "route", "country"
        )
        self.time_to_verify = histogram(
            "time_to_verify", "From the issue of a code to its approval.", "route", buckets=_VERIFY_BUCKETS
        )

        self.risk_challenges = counter(
            "risk_challenges", "Reasons for which a risk challenge was asked for.", "reason"
        )
        self.pumping_guard_blocks = counter(
            "pumping_guard_blocks", "Reasons for which the guard let no SMS through.", "reason"
        )
        self.pumping_guard_transitions = counter(
            "pumping_guard_transitions",
            "Times that a scope of the guard changed its level.",
            "kind",
            "action",
            "mode",
        )

        self.redis_roundtrip_duration = histogram(
            "redis_roundtrip_duration", "Round trips to Redis, failed ones too.", buckets=_REDIS_BUCKETS
        )
        self.redis_errors = counter("redis_errors", "Round trips that failed, by the driver's error.", "kind")
        self.counter_updates_lost = counter("counter_updates_lost", "Counts that were not carried to Redis.")
        self.log_lines_dropped = counter(
            "log_lines_dropped", "Log lines that nobody took in time, or that could not be written."
        )
        self.events = counter("events", "Every other event of the log.", "event")
        self._rules: Mapping[str, Callable[[Facts], None]] = {
            "http_request": self._call,
            "readiness_failed": self._call,
            "sms_send": self._send,
            "redis_roundtrip": self._round_trip,
            "delivery_report": self._report,
            "delivery_report_batch": self._reports,
            "queue_read": self._queue_read,
            "delivery_lookup": self._inquiry,
            "challenge_required": self._challenge,
            "pumping_guard_blocked": self._blocked,
            "pumping_guard_state_changed": self._tripped,
            "redis_error": self._redis_error,
            "background_redis_error": self._redis_error,
            "counter_flush_failed": self._ledger_lost,
        }

    def emit(self, event: str, **facts: object) -> None:
        """Count *event*."""
        rule = self._rules.get(event)
        if rule is None:
            self.events.labels(event).inc()
        else:
            rule(facts)

    def start_at_0(self, events: Iterable[str]) -> None:
        """Let the counter of each of *events* exist, unless the event has metrics of its own."""
        for event in events:
            if event not in self._rules:
                self.events.labels(event)

    def _call(self, facts: Facts) -> None:
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

    def _send(self, facts: Facts) -> None:
        route, outcome = facts["route"], facts["outcome"]
        self.sms_sends.labels(route, outcome, provider_code(facts["provider_code"])).inc()
        if outcome in _MAY_HAVE_BEEN_SENT:
            self.sms_billable.labels(route, facts["country"]).inc()

    def _round_trip(self, facts: Facts) -> None:
        self.redis_roundtrip_duration.observe(facts["duration_ms"] / 1000)

    def _report(self, facts: Facts) -> None:
        self._delivery(facts["route"], facts["delivery"])

    def _inquiry(self, facts: Facts) -> None:
        self._delivery(facts["route"], facts["status"])

    def _delivery(self, route: str, delivery: str) -> None:
        if delivery in _DELIVERED:
            self.sms_deliveries.labels(route, delivery).inc()

    def _reports(self, facts: Facts) -> None:
        for result, items in facts.items():
            self.report_items.labels(result).inc(items)

    def _queue_read(self, facts: Facts) -> None:
        self.queue_reads.labels(facts["queue"], facts["result"]).inc()

    def _challenge(self, facts: Facts) -> None:
        for reason in facts["reasons"]:
            self.risk_challenges.labels(reason).inc()

    def _blocked(self, facts: Facts) -> None:
        for reason in facts["reasons"]:
            self.pumping_guard_blocks.labels(reason).inc()

    def _tripped(self, facts: Facts) -> None:
        """Count by the kind of the scope: the name of half of the scopes is a keyed hash."""
        kind = facts["scope"].partition(":")[0]
        self.pumping_guard_transitions.labels(kind, facts["action"], facts["mode"]).inc()

    def _redis_error(self, facts: Facts) -> None:
        self.redis_errors.labels(facts["kind"]).inc()

    def _ledger_lost(self, facts: Facts) -> None:
        self.counter_updates_lost.inc(facts["entries"])


def provider_code(code: str) -> str:
    """Return *code* if its meaning is known, else `other`: a provider may answer anything."""
    is_known = not code or code in CODES or code in PNVS_CODES or _OWN_CODE.fullmatch(code)
    return code if is_known else "other"


class WorkerGauges:
    """The state of one worker. The page shows the sum or the maximum of the workers that live."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        def total(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"otp_service_{name}", text, labels, multiprocess_mode="livesum", registry=registry)

        def highest(name: str, text: str) -> Gauge:
            return Gauge(f"otp_service_{name}", text, multiprocess_mode="livemax", registry=registry)

        self.workers = total("workers", "Worker processes that serve.")
        self.route_state = total(
            "route_state", "Workers in which a route is ok, paused or open.", "route", "state"
        )
        self.sends_in_flight = total("sends_in_flight", "Permits for sends and inquiries that are taken.")
        self.sends_in_flight_max = total("sends_in_flight_max", "Permits that there are.")
        self.redis_connections_in_use = total(
            "redis_connections_in_use", "Connections to Redis on which a round trip is under way."
        )
        self.redis_connections_max = total("redis_connections_max", "Connections to Redis that there may be.")
        # Redis counts wrong codes for all workers, and one configuration names the queues.
        self.global_failure_level = highest("global_failure_level", "Level of the day's wrong codes, 0 to 2.")
        self.report_queues = highest("report_queues", "Queues of reports that the configuration names.")

    def set_routes(self, states: Mapping[str, str]) -> None:
        """Note the state of each route. Series cannot be removed, so the other states show 0."""
        for route, current in states.items():
            for state in ROUTE_STATES:
                self.route_state.labels(route, state).set(state == current)


class MetricsPage:
    """Serves the metrics of *registry* from a thread; close it, or use it as a context manager."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        """Listen.

        Raises:
            OSError: nobody can listen there.
        """
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._server, self._thread = start_http_server(port, host, registry)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def release_port(self) -> None:
        """Close this process's copy of the socket, in a child: the port must be free when the parent ends."""
        with suppress(OSError):
            self._server.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SharedMetrics:
    """The metrics of a main process and of the workers that it forks, on one page.

    Each process counts in memory-mapped files (prometheus-client's multiprocess mode). The files belong to
    a slot and not to a process: the worker that takes the slot of a dead one goes on with its counters, so
    reloads and crashes leave no files behind. Slot 0 is the main process.
    """

    _FILES: Mapping[str, int] = {
        "counter": 256 * 1024,
        "histogram": 256 * 1024,
        "gauge_livesum": 64 * 1024,
        "gauge_livemax": 64 * 1024,
    }
    """Bytes of each file of a slot. A write beyond them, to a full disk, would end the process by SIGBUS."""

    def __init__(self, slots: int) -> None:
        """Reserve space for *slots*.

        Raises:
            OSError: there is none.
        """
        self._slot = 0
        self._page: MetricsPage | None = None
        self.directory = Path(tempfile.mkdtemp(prefix="otp-service-metrics-"))
        try:
            for slot in range(slots):
                self._reserve(slot)
        except OSError:
            self._remove_files()
            raise
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self.directory)
        values.ValueClass = values.MultiProcessValue(lambda: self._slot)  # type: ignore[no-untyped-call]
        self.metrics = Metrics()

    def listen(self, host: str, port: int) -> None:
        """Serve the page.

        Raises:
            OSError: nobody can listen there.
        """
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        self._page = MetricsPage(registry, host, port)

    def free_slot(self, taken: Collection[int]) -> int:
        """Return a slot for a new worker, its space reserved; those of living workers are *taken*."""
        slot = next(number for number in count(1) if number not in taken)
        with suppress(OSError):
            self._reserve(slot)
        return slot

    def enter(self, slot: int) -> None:
        """Count in *slot* from now on, in a new worker."""
        self._slot = slot
        if self._page:
            self._page.release_port()

    def worker_died(self, slot: int) -> None:
        """Forget the gauges of the worker that had *slot*; its counters stay."""
        mark_process_dead(slot)  # type: ignore[no-untyped-call]
        with suppress(OSError):
            self._reserve(slot)

    def leave_page(self) -> None:
        """Stop serving the page."""
        if self._page:
            self._page.close()

    def close(self) -> None:
        """Stop serving the page, and remove the files."""
        self.leave_page()
        self._remove_files()

    def _reserve(self, slot: int) -> None:
        for kind, size in self._FILES.items():
            path = self.directory / f"{kind}_{slot}.db"
            if not path.exists():
                path.write_bytes(bytes(size))

    def _remove_files(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
