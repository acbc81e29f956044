"""`consume-reports`: collects what became of SMS from Aliyun's queues. Touches files, Redis, the network."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from otp_service.app import build_report_worker, create_event_logger
from otp_service.cli.check_config import emit_warnings, judge, report
from otp_service.cli.hosts import cannot_listen
from otp_service.cli.initial_series import start_report_worker
from otp_service.cli.stop import ShutdownEvent
from otp_service.observability.clock import SystemClock
from otp_service.observability.logging import CompositeEventLogger
from otp_service.observability.metrics import Metrics, MetricsServer
from otp_service.services.interfaces import EventLogger
from otp_service.settings import ConfigIssue, Settings
from otp_service.sms.aliyun.mns import Worker

STOP_SECONDS = 10.0
"""How long the message in hand may take when somebody wants this process to stop."""


def run(config: Path | None, *, once: bool) -> None:
    """Collect until SIGTERM or Ctrl-C, or *once* what is there.

    Exit with 2 when the configuration is not fit for it, and with 1 when *once* left something undone.
    """
    settings, mistakes = judge(config, listens=False)
    mistakes = mistakes or list(_mistakes(settings))
    if mistakes:
        report(mistakes)
        sys.exit(2)
    wish = ShutdownEvent()
    heard = create_event_logger(settings, SystemClock(), sys.stdout.buffer)
    with ExitStack() as stack:
        events = heard if once else _counted(settings, heard, stack)
        worker = build_report_worker(settings, events)
        emit_warnings(config, settings, events)
        events.emit("reports_started", queues=worker.names)
        all_taken = _drain(worker, wish) if once else _collect(worker, wish)
        events.emit("reports_stopped")
    sys.exit(0 if all_taken else 1)


def _counted(settings: Settings, heard: EventLogger, stack: ExitStack) -> EventLogger:
    """Serve the metrics of this process, if they are wanted; return events that are counted and *heard*.

    Exit with 2 when nobody can listen where the settings say.
    """
    host, port = settings.metrics.host, settings.metrics.reports_port
    if not port:
        return heard
    metrics = Metrics()
    start_report_worker(metrics, settings)
    try:
        stack.enter_context(MetricsServer(metrics.registry, host, port))
    except OSError as error:
        cannot_listen("metrics", host, port, error)
    return CompositeEventLogger(heard, metrics)


def _collect(worker: Worker, wish: ShutdownEvent) -> bool:
    worker.start()
    wish.wait()
    worker.stop(STOP_SECONDS)
    return True


def _drain(worker: Worker, wish: ShutdownEvent) -> bool:
    def stop() -> None:
        wish.wait()
        worker.stop(STOP_SECONDS)

    threading.Thread(target=stop, daemon=True).start()
    return worker.drain()


def _mistakes(settings: Settings) -> Iterator[ConfigIssue]:
    """Tell what `serve` does not mind and this command does."""
    queue = settings.reports.queue
    if not (queue.report_queue or queue.inbound_queue):
        yield ConfigIssue("reports.queue", "names no queue: set report_queue, inbound_queue or both")
