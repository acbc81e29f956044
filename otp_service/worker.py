"""A worker process of `serve`: the service, its log and its metrics, and a reload. Touches signals, files.

On SIGHUP the configuration is read again and another service takes the place of the one at work, in the same
process: no connection is closed, and calls end in the service in which they began.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from wsgiref.types import WSGIApplication

from otp_service import hangups, wakeups
from otp_service.app import CONFIG_VARIABLE, Built, at_exit, build, standard_events
from otp_service.clock import SystemClock
from otp_service.events import LOUD, Relay
from otp_service.lines import LineWriter
from otp_service.metrics import CountedEvents, Gauge, Meter, Writer, families
from otp_service.ports import Events
from otp_service.settings import Settings, examine_for_production, renewed, waiting
from otp_service.slow_bodies import SlowBodies
from otp_service.store.store import RedisStore
from otp_service.succession import Succession


@dataclass
class Worker:
    """What a worker process is started with, and calls to get its application.

    *sheets* is where it writes its metrics, if anybody wants them.
    """

    settings: Settings
    sheets: Path | None = None

    def __call__(self) -> WSGIApplication:
        """Return the application of this process, which ends with it."""
        wakeups.on_stops()
        work = Work(self.settings, self.sheets)
        at_exit(work.close)
        hangups.on_each(work.reload)
        return SlowBodies(work.succession, self.settings.server.threads)


class Work:
    """A service at work, with *settings* to begin with."""

    def __init__(self, settings: Settings, sheets: Path | None) -> None:
        self._settings = settings
        self._clock = SystemClock()
        self._meter = Meter()
        self._writer = Writer(self._meter, sheets) if sheets else None
        self._lines = LineWriter(sys.stdout.buffer, partial(self._meter.count, families.LINES_DROPPED))
        self._events = self._heard(settings)
        self._built = build(settings, clock=self._clock, events=self._events)
        self.succession = Succession(self._built.wsgi, self._built.close, settings.server.stop_timeout)
        if self._writer:
            self._writer.watch(partial(_gauges, self._built, settings))
            self._writer.start()

    def reload(self) -> None:
        """Read the configuration again and go on with it; if anything is wrong with it, go on as before."""
        path = os.environ.get(CONFIG_VARIABLE)
        read, mistakes = examine_for_production(Path(path) if path else None, os.environ)
        settings, more = renewed(self._settings, read)
        if mistakes := mistakes or more:
            self._events.emit("reload_refused", mistakes=list(map(str, mistakes)))
            return
        try:
            self._go_on_with(settings)
        except Exception as error:  # noqa: BLE001 - whatever it is, the service at work is sound
            self._events.emit("reload_refused", mistakes=[type(error).__name__])
            return
        self._events.emit("reloaded", waiting=waiting(settings, read))

    def close(self) -> None:
        """End the service, and write what is left of its log and its metrics."""
        self.succession.close()
        if self._writer:
            self._writer.close()
        self._lines.drain()

    def _go_on_with(self, settings: Settings) -> None:
        events = self._heard(settings)
        built = build(settings, clock=self._clock, events=events, elder=self._built.router)
        self._settings, self._events, self._built = settings, events, built
        if self._writer:
            self._writer.watch(partial(_gauges, built, settings))
        self.succession.succeed(built.wsgi, built.close)

    def _heard(self, settings: Settings) -> Events:
        """Return events for the log, and for the metrics where they are wanted."""
        lines = standard_events(settings, self._clock, self._lines)
        return Relay(lines, CountedEvents(self._meter, LOUD)) if self._writer else lines


def _gauges(built: Built, settings: Settings) -> Iterator[Gauge]:
    yield Gauge(families.WORKERS, 1)
    yield Gauge(families.ALARM, built.ledger.alarm())
    for name, state in built.router.states().items():
        yield Gauge(families.ROUTES, 1, (name, state))
    yield Gauge(families.IN_FLIGHT, built.router.in_flight)
    yield Gauge(families.PLACES, built.router.max_in_flight)
    yield Gauge(families.REDIS_MAX, settings.pool_size())
    if isinstance(built.parts.store, RedisStore):
        yield Gauge(families.REDIS_BUSY, built.parts.store.under_way)
