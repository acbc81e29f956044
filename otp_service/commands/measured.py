"""The metrics of a command while it runs, on their page. Touches files and a port."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click

from otp_service.events import LOUD, Relay
from otp_service.metrics import CountedEvents, Meter, Writer
from otp_service.ports import Events


@contextmanager
def measured(
    host: str, port: int | None, heard: Events, *, forks: bool
) -> Iterator[tuple[Path | None, Events]]:
    """Serve the metrics of this process and its workers meanwhile, if they are wanted.

    Yields where workers write theirs, and events that are counted and *heard*. A process that *forks* has no
    thread that writes its own: it writes at every event, of which it has few. Exits with 2 when nobody can
    listen there.
    """
    if port is None:
        yield None, heard
        return
    from otp_service.metrics.page import Page  # noqa: PLC0415 - see otp_service.metrics

    with tempfile.TemporaryDirectory(prefix="otp-service-metrics-") as name:
        sheets = Path(name)
        try:
            page = Page(sheets, host, port)
        except OSError as error:
            cannot_listen("metrics", host, port, error)
        meter = Meter()
        counted, writer = CountedEvents(meter, LOUD), Writer(meter, sheets)
        with page:
            if forks:
                yield sheets, Relay(heard, counted, _Written(writer))
            else:
                writer.start()
                yield sheets, Relay(heard, counted)
                writer.close()


class _Written:
    """Events that write the metrics at once."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def emit(self, event: str, **facts: object) -> None:  # noqa: ARG002 - as the port says
        """Write what was counted."""
        self._writer.write()


def cannot_listen(table: str, host: str, port: int, error: OSError) -> NoReturn:
    """Say why nobody can listen where *table* wants it, and exit with 2."""
    why = os.strerror(error.errno or 0)
    click.echo(f"{table}: cannot listen on {host}, port {port}: {why}", err=True)
    sys.exit(2)
