"""Serving: the service under gunicorn and gevent, in production. Touches files, signals and sockets.

The master process validates the settings and hands them to its workers. On SIGHUP it reads them again: if
they are sound, new workers take over and the old ones finish their calls; if not, nothing changes.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any
from wsgiref.types import StartResponse, WSGIApplication

import click
import gevent
from gevent.lock import BoundedSemaphore
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.http.errors import ParseException
from gunicorn.workers.ggevent import GeventWorker

from otp_service.app import Application, build, create_event_logger, set_app_factory, try_build
from otp_service.cli.check_config import emit_warnings, judge
from otp_service.cli.initial_series import start_service
from otp_service.observability.clock import SystemClock
from otp_service.observability.log_writer import BufferedLogWriter
from otp_service.observability.logging import CompositeEventLogger
from otp_service.observability.metrics import Metrics, SharedMetrics, WorkerGauges
from otp_service.services.interfaces import ChallengeProvider, Clock, EventLogger
from otp_service.settings import ConfigIssue, Settings, renewed, waiting
from otp_service.store.verifications import RedisStore

MAX_CONNECTIONS = 16_384
"""Connections to one worker, most of them idle."""

OTHER_FILES = 512
"""What a worker opens beside them: connections to Redis and to providers."""

KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open: longer than nginx keeps one that it does not use."""

BODY_SECONDS = 5.0
"""Within which a body must have come, whole."""

SAMPLE_SECONDS = 1.0
"""How old the gauges on the page of metrics may be."""

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})

IDLE_AT_STOP_SECONDS = 1.5
"""How long a worker that stops still takes calls on connections that are idle."""


@dataclass
class Master:
    """The process that starts workers. *settings* are those that workers begin with."""

    settings: Settings
    config: Path | None
    events: EventLogger
    lines: BufferedLogWriter
    """Where *events* are written to."""
    shared_metrics: SharedMetrics | None = None
    _arbiter: Arbiter | None = None
    _reloading: gevent.Greenlet[[], None] | None = None
    _last_age: int = 0
    """The age of the newest worker that began with former settings, while any of them is left."""
    _restart_needed: list[str] = field(default_factory=list)
    """The settings that differ from the last read ones until a restart."""
    _is_replacing: bool = False
    _work: Work | None = None

    def gunicorn_settings(self) -> dict[str, Any]:
        """Return gunicorn's settings by their names."""
        server = self.settings.server
        host = f"[{server.host}]" if ":" in server.host else server.host
        return {
            "bind": [f"{host}:{server.port}"],
            "backlog": server.backlog,
            "workers": server.workers,
            "worker_class": f"{__name__}.{Worker.__name__}",
            "worker_connections": min(MAX_CONNECTIONS, open_as_many_files_as_allowed() - OTHER_FILES),
            "keepalive": KEEP_ALIVE_SECONDS,
            "graceful_timeout": server.stop_timeout,
            # A name with an underscore could take the place of a header that a proxy writes.
            "header_map": "drop",
            "forwarder_headers": "",
            "forwarded_allow_ips": "",
            "secure_scheme_headers": {},
            "logger_class": f"{__name__}.{ServerLog.__name__}",
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
        """Take SIGHUP over from gunicorn, which would replace its workers unasked; called once it listens."""
        self._arbiter = arbiter
        signal.signal(signal.SIGHUP, self._on_hangup)
        os.register_at_fork(after_in_parent=_take_signals)
        address = arbiter.cfg.address[0]  # flags of gunicorn's command line go before the configuration
        host, port = address if isinstance(address, tuple) else (address, None)
        facts = {"host": host, "port": port, "workers": arbiter.num_workers}
        self.events.emit("started", **facts, worker_connections=self.settings.server.worker_connections)

    def _on_hangup(self, _: int, __: FrameType | None) -> None:
        """Begin to reload; a signal handler may not wait."""
        if self._reloading is None or self._reloading.ready():
            self._reloading = gevent.spawn(self._reload)

    def _reload(self) -> None:
        """Have gunicorn replace its workers if the configuration is sound as it is now."""
        read, mistakes = _judge_again(self.settings, self.config)
        settings, more = renewed(self.settings, read)
        if reasons := [str(mistake) for mistake in mistakes or more] or _failures(settings):
            self.events.emit("reload_failed", mistakes=reasons)
            return
        self._restart_needed = waiting(self.settings, read)
        self.settings = settings
        emit_warnings(self.config, settings, self.events)
        if self._arbiter:
            self._arbiter.signal(signal.SIGHUP, None)

    def on_reload(self, arbiter: Arbiter) -> None:
        """Note which workers are to go; called before the new ones start."""
        self._last_age, self._is_replacing = arbiter.worker_age, True

    def pre_fork(self, arbiter: Arbiter, worker: Worker) -> None:
        """Choose the metrics files of a new worker, and hold signals back until it can handle them.

        A signal that reached it before would be taken by the handlers that it inherits, and be lost.

        A reload that is under way ends first: it looks up names in gevent's pool of threads, and a fork
        during that may leave both processes hanging.
        """
        if self._reloading:
            self._reloading.join()
        if self.shared_metrics:
            taken = {getattr(other, "metrics_slot", 0) for other in arbiter.WORKERS.values()}
            worker.metrics_slot = self.shared_metrics.free_slot(taken)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP, *STOP_SIGNALS})

    def child_exit(self, arbiter: Arbiter, worker: Worker) -> None:
        """Forget the gauges of *worker*. The last one with former settings ends a reload."""
        if self.shared_metrics:
            self.shared_metrics.worker_died(worker.metrics_slot)
        is_done = all(worker.age > self._last_age for worker in arbiter.WORKERS.values())
        if self._is_replacing and is_done:
            self._is_replacing = False
            self.events.emit("reloaded", restart_required=self._restart_needed)

    def on_exit(self, _: Arbiter) -> None:
        """Log the end."""
        self.events.emit("stopped")
        self.lines.drain()
        if self.shared_metrics:
            self.shared_metrics.close()

    # ── in a worker ──

    def post_fork(self, _: Arbiter, worker: Worker) -> None:
        """Prepare the service of a new worker."""
        worker.calls_at_once = self.settings.server.worker_connections
        set_app_factory(self._create_app)
        if self.shared_metrics:
            self.shared_metrics.enter(worker.metrics_slot)

    def _create_app(self, challenges: ChallengeProvider | None) -> Any:
        if self.shared_metrics:
            gevent.spawn(self.shared_metrics.stop_serving)
        self._work = Work(
            self.settings, self.shared_metrics.metrics if self.shared_metrics else None, challenges
        )
        return self._work.built.app

    def worker_exit(self, _: Arbiter, __: Worker) -> None:
        """End the service of this worker."""
        if self._work:
            self._work.close()


class Work:
    """The service of one worker, with its log and its metrics."""

    def __init__(
        self, settings: Settings, metrics: Metrics | None, challenges: ChallengeProvider | None
    ) -> None:
        clock = SystemClock()
        self._lines, events = open_log(settings, clock, metrics)
        self.built = build(settings, clock=clock, events=events, challenges=challenges)
        if metrics:
            start_service(metrics, settings)
            gauges = WorkerGauges()
            _set_constants(gauges, self.built, settings)
            _sample(gauges, self.built)
            gevent.spawn(_sample_forever, gauges, self.built)

    def close(self) -> None:
        """End the service, and write what is left of its log."""
        self.built.close()
        self._lines.drain()


def open_log(
    settings: Settings, clock: Clock, metrics: Metrics | None
) -> tuple[BufferedLogWriter, EventLogger]:
    """Return what writes the log to standard output, and events that are logged and counted.

    A full disk under the log costs lines only.
    """
    if metrics is None:
        lines = BufferedLogWriter()
        return lines, create_event_logger(settings, clock, lines)
    lines = BufferedLogWriter(dropped=metrics.log_lines_dropped.inc)
    return lines, CompositeEventLogger(create_event_logger(settings, clock, lines), metrics)


class WorkerApplication:
    """Lets so many *calls* into *app* at once. One that waits for its body is not counted."""

    def __init__(self, app: WSGIApplication, calls: int) -> None:
        self._app = app
        self._places = BoundedSemaphore(calls)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request."""
        stream, client = environ["wsgi.input"], environ["gunicorn.socket"]
        environ["wsgi.input"] = _Body(stream, client, self._places)
        with self._places:
            return self._app(environ, start_response)


class _Body:
    """The body of a request. Whoever waits for it gives its place to others meanwhile."""

    def __init__(self, stream: IO[bytes], client: socket.socket, places: BoundedSemaphore) -> None:
        self._stream = stream
        self._client = client
        self._places = places

    def read(self, size: int = -1) -> bytes:
        """Return *size* bytes, fewer at the end.

        Raises:
            OSError: they did not come within `BODY_SECONDS`, or are no HTTP; the connection ends then.
        """
        with self._waiting():
            return self._stream.read(size)

    def readline(self, size: int = -1) -> bytes:
        """Return a line; see `read`."""
        with self._waiting():
            return self._stream.readline(size)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self._places.release()
        try:
            with gevent.Timeout(BODY_SECONDS, TimeoutError):
                yield
        except (TimeoutError, ParseException) as error:
            with suppress(OSError):
                self._client.shutdown(socket.SHUT_RD)
            raise OSError(type(error).__name__) from None
        finally:
            self._places.acquire()


class Worker(GeventWorker):
    """A worker that serves a bounded number of calls, and ends idle connections soon after it is to stop."""

    calls_at_once: int
    metrics_slot: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clients: dict[object, socket.socket] = {}
        self._idle: set[object] = set()

    def init_signals(self) -> None:
        """Take signals from now on, but for SIGHUP: it is for the master, and would end a worker."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def load_wsgi(self) -> None:
        """Load the application, and bound the calls in it."""
        super().load_wsgi()
        app: Any = self.wsgi  # its stub's type of an application is not that of the standard library
        self.wsgi = WorkerApplication(app, self.calls_at_once)  # type: ignore[assignment]

    def handle(self, listener: socket.socket, client: socket.socket, addr: Any) -> None:
        """Serve one connection."""
        greenlet = gevent.getcurrent()
        self._clients[greenlet] = client
        try:
            super().handle(listener, client, addr)
        finally:
            del self._clients[greenlet]

    @contextmanager
    def timeout_ctx(self) -> Iterator[None]:  # type: ignore[override]  # its stub says None
        """Bound the wait for the next request of a connection."""
        greenlet = gevent.getcurrent()
        self._idle.add(greenlet)
        try:
            with super().timeout_ctx():  # type: ignore[attr-defined]
                yield
        finally:
            self._idle.discard(greenlet)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop, on SIGTERM."""
        super().handle_exit(sig, frame)
        gevent.spawn_later(IDLE_AT_STOP_SECONDS, self._end_idle)

    def _end_idle(self) -> None:
        while True:
            for greenlet in tuple(self._idle):
                with suppress(OSError):  # what has come already is still read and answered
                    self._clients[greenlet].shutdown(socket.SHUT_RD)
            gevent.sleep(0.1)


def _take_signals() -> None:
    """Let the master go on with what `Master.pre_fork` held back."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP, *STOP_SIGNALS})


class ServerLog(Logger):
    """gunicorn's log as a part of ours. What it says of bad requests holds addresses, and is left out."""

    def setup(self, cfg: Any) -> None:
        """Pass everything on to the root logger."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.addFilter(_is_harmless)


def _is_harmless(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Invalid request from")


def open_as_many_files_as_allowed() -> int:
    """Raise the number of files that this process and its workers may open to what the system allows.

    Usual is a thousand, which one stranger without a key could hold alone, by connections that say nothing.
    """
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # "without limit" is not taken everywhere
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        usual = most
    return MAX_CONNECTIONS + OTHER_FILES if usual == resource.RLIM_INFINITY else usual


def exit_if_it_cannot_start(settings: Settings) -> None:
    """Put the service together once, before there are workers: what they would fail with is told here."""
    for failure in _failures(settings):
        click.echo(f"The service cannot start: {failure}.", err=True)
        sys.exit(2)


def _failures(settings: Settings) -> list[str]:
    try:
        try_build(settings)
    except Exception as error:  # noqa: BLE001 - whatever it is, every worker would fail with it, again and again
        place = traceback.extract_tb(error.__traceback__)[-1]
        return [f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"]
    return []


def _judge_again(running: Settings, config: Path | None) -> tuple[Settings, list[ConfigIssue]]:
    """Return what the configuration says now and its mistakes; a Redis that is not yet used must answer."""
    read, mistakes = judge(config, may_be_silent=True)
    return (read, mistakes) if read.redis == running.redis else judge(config)


def _set_constants(gauges: WorkerGauges, built: Application, settings: Settings) -> None:
    queues = settings.reports.queue
    gauges.workers.set(1)
    gauges.sends_in_flight_max.set(built.router.max_in_flight)
    gauges.redis_connections_max.set(settings.pool_size())
    gauges.report_queues.set(bool(queues.report_queue) + bool(queues.inbound_queue))


def _sample(gauges: WorkerGauges, built: Application) -> None:
    gauges.global_failure_level.set(built.counters.global_risk_level())
    gauges.set_routes(built.router.states())
    gauges.sends_in_flight.set(built.router.in_flight)
    if isinstance(built.parts.store, RedisStore):
        gauges.redis_connections_in_use.set(built.parts.store.under_way)


def _sample_forever(gauges: WorkerGauges, built: Application) -> None:
    while True:
        gevent.sleep(SAMPLE_SECONDS)
        _sample(gauges, built)
