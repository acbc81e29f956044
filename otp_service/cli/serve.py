"""`serve`: the service in production, or every reason why not. Touches files, Redis, signals and sockets."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from gunicorn.app.base import BaseApplication

from otp_service.app import create_app
from otp_service.cli.check_config import emit_warnings, judge, report
from otp_service.cli.dev_server import try_to_listen
from otp_service.cli.hosts import cannot_listen
from otp_service.cli.initial_series import start_service
from otp_service.cli.serving import Master, exit_if_it_cannot_start, open_log
from otp_service.observability.clock import SystemClock
from otp_service.observability.metrics import SharedMetrics
from otp_service.settings import Settings


def run(config: Path | None) -> None:
    """Serve until SIGTERM or Ctrl-C, and read the configuration again on SIGHUP.

    Exit with 2 when the configuration is not fit for it. A Redis that does not answer keeps nobody from
    starting: it is answered for with 503 until it does.
    """
    settings = _judged(config)
    server = settings.server
    try:
        try_to_listen(server.host, server.port)  # gunicorn would try again for seconds
    except OSError as error:
        cannot_listen("server", server.host, server.port, error)
    _Server(_master(settings, config)).run()


def gunicorn_settings(config: Path | None) -> dict[str, Any]:
    """Return the settings for a gunicorn that is started by its own command; exit with 2 as `run` does."""
    return _master(_judged(config), config).gunicorn_settings()


def _judged(config: Path | None) -> Settings:
    settings, mistakes = judge(config, may_be_silent=True)
    if mistakes:
        report(mistakes)
        sys.exit(2)
    exit_if_it_cannot_start(settings)
    return settings


def _master(settings: Settings, config: Path | None) -> Master:
    shared = _shared_metrics(settings)
    lines, events = open_log(settings, SystemClock(), shared.metrics if shared else None)
    path = config.resolve() if config else None
    emit_warnings(config, settings, events)
    return Master(settings, path, events, lines, shared)


def _shared_metrics(settings: Settings) -> SharedMetrics | None:
    """Return the metrics, their page being served, if they are wanted; exit with 2 when that cannot be."""
    host, port = settings.metrics.host, settings.metrics.port
    if not port:
        return None
    try:
        shared = SharedMetrics(slots=1 + 2 * settings.server.workers)  # twice, for a reload
    except OSError as error:
        click.echo(f"metrics: cannot write to {tempfile.gettempdir()}: {error.strerror}", err=True)
        sys.exit(2)
    try:
        shared.listen(host, port)
    except OSError as error:
        shared.close()
        cannot_listen("metrics", host, port, error)
    start_service(shared.metrics, settings)
    return shared


class _Server(BaseApplication):
    """gunicorn, with the settings of *master*."""

    def __init__(self, master: Master) -> None:
        self._master = master
        super().__init__()

    def load_config(self) -> None:
        """Set what gunicorn is to do."""
        for name, value in self._master.gunicorn_settings().items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the application; called in every worker."""
        return create_app()
