"""`serve`: the service in production, or every reason why not. Touches files, Redis, signals and sockets."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from functools import partial
from pathlib import Path

from otp_service import hangups
from otp_service.app import CONFIG_VARIABLE, standard_events
from otp_service.clock import SystemClock
from otp_service.commands.check_config import judge, report
from otp_service.commands.measured import cannot_listen, measured
from otp_service.lines import LineWriter
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
    heard = standard_events(settings, SystemClock(), lines)
    with measured(settings.metrics.host, settings.metrics.port, heard, forks=True) as (sheets, events):
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
        cannot_listen("server", server.host, server.port, error)


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
