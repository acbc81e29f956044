"""`serve`: the service in production, or every reason why not. Touches files, Redis, signals and sockets."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from otp_service import hangups
from otp_service.app import CONFIG_VARIABLE, standard_events
from otp_service.clock import SystemClock
from otp_service.commands.check_config import judge, report
from otp_service.events import Relay
from otp_service.lines import LineWriter
from otp_service.metrics import CountedEvents, Meter, Page, Writer
from otp_service.ports import Events
from otp_service.server import serve
from otp_service.settings import Mistake, Settings, renewed
from otp_service.worker import Worker


def run(config: Path | None) -> None:
    """Serve until SIGTERM or Ctrl-C, and read the configuration again on SIGHUP.

    Exit with 2 when the configuration is not fit for it. A Redis that does not answer keeps nobody from
    starting: it is answered for with 503 until it does.
    """
    settings, mistakes = judge(config, may_be_silent=True)
    if mistakes:
        report(mistakes)
        sys.exit(2)
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config.resolve())  # for the workers
    hangups.hold_back()
    lines = LineWriter(sys.stdout.buffer)  # a full disk under the log keeps nobody from serving
    with _metrics(settings, standard_events(settings, SystemClock(), lines)) as (sheets, events):
        worker = Worker(settings, sheets)
        hangups.on_each(partial(_reload, worker, config, events))
        _serve(settings, worker, events)
        events.emit("stopped")
    lines.drain()


def _serve(settings: Settings, worker: Worker, events: Events) -> None:
    server = settings.server
    facts = {"host": server.host, "port": server.port, "workers": server.workers, "threads": server.threads}
    try:
        serve(settings, worker, announce=lambda: events.emit("started", **facts))
    except OSError as error:
        _cannot_listen("server", server.host, server.port, error)


@contextmanager
def _metrics(settings: Settings, lines: Events) -> Iterator[tuple[Path | None, Events]]:
    """Serve the metrics of all processes meanwhile, if they are wanted; say where workers write theirs."""
    host, port = settings.metrics.host, settings.metrics.port
    if port is None:
        yield None, lines
        return
    with tempfile.TemporaryDirectory(prefix="otp-service-metrics-") as name:
        sheets = Path(name)
        try:
            page = Page(sheets, host, port)
        except OSError as error:
            _cannot_listen("metrics", host, port, error)
        meter = Meter()
        writer = Writer(meter, sheets)
        with page:
            yield sheets, Relay(lines, CountedEvents(meter), _Written(writer))


class _Written:
    """Events that write the metrics of this process at once: there are few, and no thread may wait here."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def emit(self, event: str, **facts: object) -> None:  # noqa: ARG002 - as the port says
        """Write what was counted."""
        self._writer.write()


def _reload(worker: Worker, config: Path | None, events: Events) -> None:
    """Have workers go on with the configuration as it is now, if it is sound; later ones begin with it."""
    read, mistakes = _judge_again(worker.settings, config)
    settings, more = renewed(worker.settings, read)
    if mistakes := mistakes or more:
        events.emit("reload_refused", mistakes=list(map(str, mistakes)))
        return
    worker.settings = settings
    for process in multiprocessing.active_children():
        os.kill(process.pid or 0, signal.SIGHUP)


def _judge_again(running: Settings, config: Path | None) -> tuple[Settings, list[Mistake]]:
    """Return what the configuration says now and its mistakes; a Redis that is not yet used must answer."""
    read, mistakes = judge(config, may_be_silent=True)
    return (read, mistakes) if read.redis == running.redis else judge(config)


def _cannot_listen(table: str, host: str, port: int, error: OSError) -> None:
    why = os.strerror(error.errno or 0)
    click.echo(f"{table}: cannot listen on {host}, port {port}: {why}", err=True)
    sys.exit(2)
