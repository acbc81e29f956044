"""`consume-reports`: reads delivery reports and inbound SMS from Aliyun's queues."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from otp_service import __version__
from otp_service.app import build_delivery_reports, create_event_logger, open_store
from otp_service.cli.check_config import emit_warnings, print_issues, validate
from otp_service.cli.initial_series import create_report_series
from otp_service.cli.listening import exit_cannot_listen
from otp_service.cli.shutdown import ShutdownEvent
from otp_service.observability.clock import SystemClock
from otp_service.observability.logging import CompositeEventLogger
from otp_service.observability.metrics import BuildInfo, Metrics, MetricsServer, ProcessMetrics
from otp_service.services.interfaces import EventLogger
from otp_service.settings import ConfigIssue, Settings
from otp_service.sms.aliyun.mns import MessageHandler, Worker, build_worker

STOP_SECONDS = 10.0
"""Seconds that the message in progress has when this process must stop."""


def run(config: Path | None, *, once: bool) -> None:
    """Process messages until SIGTERM or Ctrl-C, or with *once* until the queues are empty.

    The exit code is 2 if the configuration is not valid, and 1 if *once* has left messages in a queue.
    """
    settings, issues = validate(config, listens=False)
    issues = issues or list(_issues(settings))
    if issues:
        print_issues(issues)
        sys.exit(2)
    shutdown = ShutdownEvent()
    log = create_event_logger(settings, SystemClock(), sys.stdout.buffer)
    with ExitStack() as stack:
        events = log if once else _with_metrics(settings, log, stack)
        worker = _build_worker(settings, events)
        emit_warnings(config, settings, events)
        events.emit("reports_started", version=__version__, queues=worker.names)
        done = _drain(worker, shutdown) if once else _consume(worker, shutdown)
        events.emit("reports_stopped")
    sys.exit(0 if done else 1)


def _build_worker(settings: Settings, events: EventLogger) -> Worker:
    clock = SystemClock()
    queues = settings.reports.queue
    account = next(route for route in settings.routes if route.name == queues.route)
    store = open_store(settings, events, job="reports")
    reports = build_delivery_reports(settings, store, clock, events)
    handle = MessageHandler(process=reports.process, clock=clock, events=events)
    return build_worker(queues, account, handle=handle, clock=clock, events=events)


def _with_metrics(settings: Settings, log: EventLogger, stack: ExitStack) -> EventLogger:
    """Serve metrics if the settings have a port for them, and return a logger that also counts events.

    Exits with 2 if the port cannot be used.
    """
    host, port = settings.metrics.host, settings.metrics.reports_port
    if not port:
        return log
    metrics = Metrics()
    metrics.registry.register(BuildInfo())
    metrics.registry.register(ProcessMetrics())
    create_report_series(metrics, settings)
    try:
        stack.enter_context(MetricsServer(metrics.registry, host, port))
    except OSError as error:
        exit_cannot_listen("metrics", host, port, error)
    return CompositeEventLogger(log, metrics)


def _consume(worker: Worker, shutdown: ShutdownEvent) -> bool:
    worker.start()
    shutdown.wait()
    worker.stop(STOP_SECONDS)
    return True


def _drain(worker: Worker, shutdown: ShutdownEvent) -> bool:
    def stop() -> None:
        shutdown.wait()
        worker.stop(STOP_SECONDS)

    threading.Thread(target=stop, daemon=True).start()
    return worker.drain()


def _issues(settings: Settings) -> Iterator[ConfigIssue]:
    """Yield what `serve` accepts and this command does not."""
    queue = settings.reports.queue
    if not (queue.report_queue or queue.inbound_queue):
        yield ConfigIssue("reports.queue", "names no queue: set report_queue, inbound_queue or both")
