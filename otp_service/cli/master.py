"""The gunicorn master process of `serve`: its settings, and its hooks for workers and reloads.

The master validates the settings and passes them to its workers. On SIGHUP it reads them again. If they are
valid, new workers start and the old ones finish their requests. If not, nothing changes.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import click
import gevent
from gunicorn.arbiter import Arbiter

from otp_service import __version__
from otp_service.app import set_app_factory, try_build
from otp_service.cli import worker
from otp_service.cli.check_config import emit_warnings, validate
from otp_service.cli.worker import STOP_SIGNALS, GunicornLogger, Worker, WorkerService
from otp_service.observability.log_writer import BufferedLogWriter
from otp_service.observability.metrics import SharedMetrics
from otp_service.services.interfaces import ChallengeProvider, EventLogger
from otp_service.settings import ConfigIssue, Settings, renewed, waiting

MAX_CONNECTIONS = 16_384
"""Maximum number of connections of one worker. Most of them are idle."""

OTHER_FILES = 512
"""File descriptors that a worker needs for other purposes, such as connections to Redis and to providers."""

KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open. nginx closes its own idle connections earlier."""


@dataclass
class Master:
    """The process that starts workers. New workers get *settings*."""

    settings: Settings
    config: Path | None
    events: EventLogger
    lines: BufferedLogWriter
    """The log to which *events* are written."""
    shared_metrics: SharedMetrics | None = None
    _arbiter: Arbiter | None = None
    _reloading: gevent.Greenlet[[], None] | None = None
    _last_old_age: int = 0
    """During a reload: the age of the newest worker with the old settings."""
    _restart_required: list[str] = field(default_factory=list)
    """Settings whose new values need a restart."""
    _is_replacing: bool = False
    _service: WorkerService | None = None

    def gunicorn_settings(self) -> dict[str, Any]:
        """Return gunicorn's settings by name."""
        server = self.settings.server
        host = f"[{server.host}]" if ":" in server.host else server.host
        return {
            "bind": [f"{host}:{server.port}"],
            "backlog": server.backlog,
            "workers": server.workers,
            "worker_class": f"{worker.__name__}.{Worker.__name__}",
            "worker_connections": min(MAX_CONNECTIONS, raise_file_limit() - OTHER_FILES),
            "keepalive": KEEP_ALIVE_SECONDS,
            "graceful_timeout": server.stop_timeout,
            # A header name with an underscore could replace a header that a proxy writes.
            "header_map": "drop",
            "forwarder_headers": "",
            "forwarded_allow_ips": "",
            "secure_scheme_headers": {},
            "logger_class": f"{worker.__name__}.{GunicornLogger.__name__}",
            "loglevel": "warning",
            "control_socket_disable": True,
            "when_ready": self.when_ready,
            "pre_fork": self.pre_fork,
            "post_fork": self.post_fork,
            "on_reload": self.on_reload,
            "child_exit": self.child_exit,
            "worker_exit": self.worker_exit,
            "on_exit": self.on_exit,
        }

    # ── in the master ──

    def when_ready(self, arbiter: Arbiter) -> None:
        """Replace gunicorn's handler of SIGHUP, which replaces the workers without validating the settings.

        gunicorn calls this hook when it starts to listen.
        """
        self._arbiter = arbiter
        if self.shared_metrics:
            self.shared_metrics.observe_workers(
                lambda: {getattr(one, "metrics_slot", 0): pid for pid, one in tuple(arbiter.WORKERS.items())}
            )
        signal.signal(signal.SIGHUP, self._on_sighup)
        os.register_at_fork(after_in_parent=_unblock_signals)
        address = arbiter.cfg.address[0]  # options of gunicorn's command line override the configuration
        host, port = address if isinstance(address, tuple) else (address, None)
        facts = {"version": __version__, "host": host, "port": port, "workers": arbiter.num_workers}
        self.events.emit("started", **facts, worker_connections=self.settings.server.worker_connections)

    def _on_sighup(self, _: int, __: FrameType | None) -> None:
        """Start a reload in a greenlet, because a signal handler must not block."""
        if self._reloading is None or self._reloading.ready():
            self._reloading = gevent.spawn(self._reload)

    def _reload(self) -> None:
        """Read the configuration again, and let gunicorn replace its workers if it is valid."""
        read, issues = _read_again(self.settings, self.config)
        settings, more = renewed(self.settings, read)
        if reasons := [str(issue) for issue in issues or more] or _startup_failures(settings):
            self.events.emit("reload_failed", issues=reasons)
            return
        self._restart_required = waiting(self.settings, read)
        self.settings = settings
        emit_warnings(self.config, settings, self.events)
        if self._arbiter:
            self._arbiter.signal(signal.SIGHUP, None)

    def on_reload(self, arbiter: Arbiter) -> None:
        """Remember which workers have the old settings; called before gunicorn starts new ones."""
        self._last_old_age, self._is_replacing = arbiter.worker_age, True

    def pre_fork(self, arbiter: Arbiter, new: Worker) -> None:
        """Choose the metrics files of a *new* worker, and block signals until the worker can handle them.

        A signal that arrives earlier would be handled by the inherited handlers of the master, and be lost.

        A reload in progress must finish first: it resolves names in gevent's thread pool, and a fork at that
        moment could leave both processes hanging.
        """
        if self._reloading:
            self._reloading.join()
        if self.shared_metrics:
            taken = {getattr(other, "metrics_slot", 0) for other in arbiter.WORKERS.values()}
            new.metrics_slot = self.shared_metrics.free_slot(taken)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP, *STOP_SIGNALS})

    def child_exit(self, arbiter: Arbiter, old: Worker) -> None:
        """Remove the gauges of a worker that has ended. A reload is complete when no *old* worker is left."""
        if self.shared_metrics:
            self.shared_metrics.worker_died(old.metrics_slot)
        is_done = all(other.age > self._last_old_age for other in arbiter.WORKERS.values())
        if self._is_replacing and is_done:
            self._is_replacing = False
            self.events.emit("reloaded", restart_required=self._restart_required)

    def on_exit(self, _: Arbiter) -> None:
        """Log the end of the service."""
        self.events.emit("stopped")
        self.lines.drain()
        if self.shared_metrics:
            self.shared_metrics.close()

    # ── in a worker ──

    def post_fork(self, _: Arbiter, new: Worker) -> None:
        """Configure a new worker."""
        new.max_requests_in_progress = self.settings.server.worker_connections
        set_app_factory(self._create_app)
        if self.shared_metrics:
            self.shared_metrics.enter(new.metrics_slot)

    def _create_app(self, challenges: ChallengeProvider | None) -> Any:
        if self.shared_metrics:
            gevent.spawn(self.shared_metrics.stop_serving)
        metrics = self.shared_metrics.metrics if self.shared_metrics else None
        self._service = WorkerService(self.settings, metrics, challenges)
        return self._service.built.app

    def worker_exit(self, _: Arbiter, __: Worker) -> None:
        """Close the service of this worker."""
        if self._service:
            self._service.close()


def exit_if_it_cannot_start(settings: Settings) -> None:
    """Build the service once in the master, and exit with 2 if that fails, as it would in every worker."""
    for failure in _startup_failures(settings):
        click.echo(f"The service cannot start: {failure}.", err=True)
        sys.exit(2)


def raise_file_limit() -> int:
    """Raise the limit of open files to the maximum that the system allows, and return it.

    The usual limit is about a thousand. An attacker without a key could exhaust it with idle connections.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems do not accept an unlimited value
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return MAX_CONNECTIONS + OTHER_FILES if soft == resource.RLIM_INFINITY else soft


def _unblock_signals() -> None:
    """Unblock in the master the signals that `Master.pre_fork` has blocked."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP, *STOP_SIGNALS})


def _startup_failures(settings: Settings) -> list[str]:
    try:
        try_build(settings)
    except Exception as error:  # noqa: BLE001 - any error would end every worker, again and again
        place = traceback.extract_tb(error.__traceback__)[-1]
        return [f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"]
    return []


def _read_again(running: Settings, config: Path | None) -> tuple[Settings, list[ConfigIssue]]:
    """Return the current configuration and its issues. A Redis that is not yet in use must be reachable."""
    read, issues = validate(config, tolerate_outage=True)
    return (read, issues) if read.redis == running.redis else validate(config)
