"""`serve`: the service in production, or every reason why not. Touches files, Redis and sockets."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from otp_service.app import CONFIG_VARIABLE, standard_events
from otp_service.clock import SystemClock
from otp_service.commands.check_config import judge, report
from otp_service.lines import LineWriter
from otp_service.server import serve


def run(config: Path | None) -> None:
    """Serve until SIGTERM or Ctrl-C; exit with 2 when the configuration is not fit for it.

    A Redis that does not answer keeps nobody from starting: it is answered for with 503 until it does.
    """
    settings, mistakes = judge(config, may_be_silent=True)
    if mistakes:
        report(mistakes)
        sys.exit(2)
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config.resolve())  # for the workers
    server = settings.server
    lines = LineWriter(sys.stdout.buffer)  # a full disk under the log keeps nobody from serving
    events = standard_events(settings, SystemClock(), lines)
    facts = {"host": server.host, "port": server.port, "workers": server.workers, "threads": server.threads}
    try:
        serve(settings, announce=lambda: events.emit("started", **facts))
    except OSError as error:
        why = os.strerror(error.errno or 0)
        click.echo(f"server: cannot listen on {server.host}, port {server.port}: {why}", err=True)
        sys.exit(2)
    events.emit("stopped")
    lines.drain()
