"""`serve`: runs the service in production, under gunicorn with gevent workers."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from gunicorn.app.base import BaseApplication

from otp_service.app import create_app
from otp_service.cli.check_config import emit_warnings, print_issues, validate
from otp_service.cli.initial_series import create_service_series
from otp_service.cli.listening import exit_cannot_listen, try_to_listen
from otp_service.cli.master import Master, exit_if_it_cannot_start
from otp_service.cli.worker import open_log
from otp_service.observability.clock import SystemClock
from otp_service.observability.metrics import SharedMetrics
from otp_service.settings import Settings


def run(config: Path | None) -> None:
    """Serve until SIGTERM or Ctrl-C. SIGHUP reloads the configuration.

    Exits with 2 if the configuration is not valid. The service starts even if Redis does not answer, and
    responds with 503 until it does.
    """
    settings = _validated(config)
    server = settings.server
    try:
        try_to_listen(server.host, server.port)  # gunicorn would retry for seconds
    except OSError as error:
        exit_cannot_listen("server", server.host, server.port, error)
    _Gunicorn(_create_master(settings, config)).run()


def gunicorn_settings(config: Path | None) -> dict[str, Any]:
    """Return the settings for gunicorn's own command. Exits with 2 as `run` does."""
    return _create_master(_validated(config), config).gunicorn_settings()


def _validated(config: Path | None) -> Settings:
    settings, issues = validate(config, tolerate_outage=True)
    if issues:
        print_issues(issues)
        sys.exit(2)
    exit_if_it_cannot_start(settings)
    return settings


def _create_master(settings: Settings, config: Path | None) -> Master:
    shared = _serve_metrics(settings)
    lines, events = open_log(settings, SystemClock(), shared.metrics if shared else None)
    path = config.resolve() if config else None
    emit_warnings(config, settings, events)
    return Master(settings, path, events, lines, shared)


def _serve_metrics(settings: Settings) -> SharedMetrics | None:
    """Serve metrics if the settings have a port for them. Exits with 2 if that is not possible."""
    host, port = settings.metrics.host, settings.metrics.port
    if not port:
        return None
    try:
        shared = SharedMetrics(slots=1 + 2 * settings.server.workers)  # twice, for old and new workers
    except OSError as error:
        click.echo(f"metrics: cannot write to {tempfile.gettempdir()}: {error.strerror}", err=True)
        sys.exit(2)
    try:
        shared.listen(host, port)
    except OSError as error:
        shared.close()
        exit_cannot_listen("metrics", host, port, error)
    create_service_series(shared.metrics, settings)
    return shared


class _Gunicorn(BaseApplication):
    """gunicorn with the settings of *master*."""

    def __init__(self, master: Master) -> None:
        self._master = master
        super().__init__()

    def load_config(self) -> None:
        """Pass the settings to gunicorn."""
        for name, value in self._master.gunicorn_settings().items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the application. gunicorn calls this in every worker."""
        return create_app()
