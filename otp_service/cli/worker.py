"""A gunicorn worker process of `serve`: its request limit, its log, its metrics and its shutdown."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from ssl import SSLContext
from types import FrameType
from typing import IO, Any
from wsgiref.types import StartResponse, WSGIApplication

import gevent
from gevent.lock import BoundedSemaphore
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.glogging import Logger
from gunicorn.http.errors import ParseException
from gunicorn.workers.ggevent import GeventWorker

from otp_service.app import Application, build, create_event_logger
from otp_service.cli.initial_series import create_service_series
from otp_service.observability.clock import SystemClock
from otp_service.observability.log_writer import BufferedLogWriter
from otp_service.observability.logging import CompositeEventLogger
from otp_service.observability.metrics import Metrics, WorkerGauges
from otp_service.services.interfaces import ChallengeProvider, Clock, EventLogger
from otp_service.settings import Settings
from otp_service.store.verifications import RedisStore

BODY_SECONDS = 5.0
"""Time limit in seconds for a read of the request body."""

SAMPLE_SECONDS = 1.0
"""Interval between updates of the gauges."""

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})

IDLE_AT_STOP_SECONDS = 1.5
"""Seconds for which a stopping worker still accepts requests on idle connections."""


class Worker(GeventWorker):
    """A gevent worker that limits the requests in progress, and closes idle connections when it stops."""

    max_requests_in_progress: int
    metrics_slot: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clients: dict[object, socket.socket] = {}
        self._idle: set[object] = set()

    def init_signals(self) -> None:
        """Unblock signals, except SIGHUP: it is meant for the master, and would end a worker."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def load_wsgi(self) -> None:
        """Load the application, and limit its requests in progress."""
        super().load_wsgi()
        app: Any = self.wsgi  # gunicorn's stub has another type for it than the standard library
        self.wsgi = RequestLimit(app, self.max_requests_in_progress)  # type: ignore[assignment]

    def server_class(  # type: ignore[override]  # gunicorn's own are classes
        self, listener: socket.socket, *, spawn: Pool, ssl_context: SSLContext | None = None, **_: object
    ) -> StreamServer:
        """Return the server of *listener*, which runs its connections in *spawn*. gunicorn calls this.

        *ssl_context* is set if gunicorn's command line has options for TLS.
        """
        tls: Any = {"ssl_context": ssl_context} if ssl_context else {}
        server: StreamServer = _Server(listener, handle=self._serve, spawn=spawn, **tls)
        if self.cfg.workers > 1:
            server.max_accept = 1  # as in gunicorn: leave connections for the other workers
        return server

    def _serve(self, client: socket.socket, addr: Any) -> None:
        greenlet = gevent.getcurrent()
        self._clients[greenlet] = client
        try:
            # gunicorn only asks the first argument for its address. The listener, which belongs there, would
            # fail if it has been closed in the meantime.
            self.handle(client, client, addr)
        finally:
            del self._clients[greenlet]

    @contextmanager
    def timeout_ctx(self) -> Iterator[None]:  # type: ignore[override]  # its stub says None
        """Limit the wait for the next request of a connection, which is idle meanwhile."""
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
        gevent.spawn_later(IDLE_AT_STOP_SECONDS, self._close_idle_connections)

    def _close_idle_connections(self) -> None:
        while True:
            for greenlet in tuple(self._idle):
                with suppress(OSError):  # a request that has already arrived is still served
                    self._clients[greenlet].shutdown(socket.SHUT_RD)
            gevent.sleep(0.1)


class _Server(StreamServer):
    """gevent's server. Before it closes, it accepts waiting connections, which would otherwise be reset."""

    def close(self) -> None:
        """Stop accepting connections."""
        with suppress(OSError):  # such as too many open files: requests in progress must still be finished
            self._accept_waiting()
        super().close()

    def _accept_waiting(self) -> None:
        if not self.started or self.pool is None:
            return
        for _ in range(self.pool.free_count()):
            if not (connection := self.do_read()):
                return
            self.do_handle(*connection)


class RequestLimit:
    """WSGI middleware that runs at most *limit* requests at once, not counting those that wait for a body."""

    def __init__(self, app: WSGIApplication, limit: int) -> None:
        self._app = app
        self._permits = BoundedSemaphore(limit)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request."""
        stream, client = environ["wsgi.input"], environ["gunicorn.socket"]
        environ["wsgi.input"] = _RequestBody(stream, client, self._permits)
        with self._permits:
            return self._app(environ, start_response)


class _RequestBody:
    """A request body with a time limit. While a request waits for its body, it releases its permit."""

    def __init__(self, stream: IO[bytes], client: socket.socket, permits: BoundedSemaphore) -> None:
        self._stream = stream
        self._client = client
        self._permits = permits

    def read(self, size: int = -1) -> bytes:
        """Return up to *size* bytes; fewer only at the end of the body.

        Raises:
            OSError: the bytes did not arrive within `BODY_SECONDS` or are not valid HTTP. The connection is
                closed.
        """
        with self._waiting():
            return self._stream.read(size)

    def readline(self, size: int = -1) -> bytes:
        """Return a line; see `read`."""
        with self._waiting():
            return self._stream.readline(size)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self._permits.release()
        try:
            with gevent.Timeout(BODY_SECONDS, TimeoutError):
                yield
        except (TimeoutError, ParseException) as error:
            with suppress(OSError):
                self._client.shutdown(socket.SHUT_RD)
            raise OSError(type(error).__name__) from None
        finally:
            self._permits.acquire()


class WorkerService:
    """The service of one worker, with its log and its metrics."""

    def __init__(
        self, settings: Settings, metrics: Metrics | None, challenges: ChallengeProvider | None
    ) -> None:
        clock = SystemClock()
        self._lines, events = open_log(settings, clock, metrics)
        self.built = build(settings, clock=clock, events=events, challenges=challenges)
        if metrics:
            create_service_series(metrics, settings)
            gauges = WorkerGauges()
            _set_constant_gauges(gauges, self.built, settings)
            _sample(gauges, self.built)
            gevent.spawn(_sample_forever, gauges, self.built)

    def close(self) -> None:
        """Close the service, and write the rest of its log."""
        self.built.close()
        self._lines.drain()


def open_log(
    settings: Settings, clock: Clock, metrics: Metrics | None
) -> tuple[BufferedLogWriter, EventLogger]:
    """Return a writer to standard output, and an event logger that writes to it and counts in *metrics*.

    If the log cannot be written, lines are dropped and the service continues.
    """
    if metrics is None:
        lines = BufferedLogWriter()
        return lines, create_event_logger(settings, clock, lines)
    lines = BufferedLogWriter(dropped=metrics.log_lines_dropped.inc)
    return lines, CompositeEventLogger(create_event_logger(settings, clock, lines), metrics)


class GunicornLogger(Logger):
    """Passes gunicorn's log to the root logger, without lines about bad requests: they contain addresses."""

    def setup(self, cfg: Any) -> None:
        """Remove gunicorn's own handlers."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.addFilter(_has_no_address)


def _has_no_address(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Invalid request from")


def _set_constant_gauges(gauges: WorkerGauges, built: Application, settings: Settings) -> None:
    queues = settings.reports.queue
    gauges.workers.set(1)
    gauges.sends_in_flight_max.set(built.router.max_in_flight)
    gauges.redis_connections_max.set(settings.pool_size())
    gauges.report_queues.set(bool(queues.report_queue) + bool(queues.inbound_queue))


def _sample(gauges: WorkerGauges, built: Application) -> None:
    gauges.global_failure_level.set(built.counters.global_risk_level())
    gauges.set_routes(built.router.states())
    gauges.sends_in_flight.set(built.router.in_flight)
    if isinstance(built.dependencies.store, RedisStore):
        gauges.redis_connections_in_use.set(built.dependencies.store.redis.in_flight)


def _sample_forever(gauges: WorkerGauges, built: Application) -> None:
    while True:
        gevent.sleep(SAMPLE_SECONDS)
        _sample(gauges, built)
