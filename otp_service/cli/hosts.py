"""Hosts: whether one can listen at an address of the settings. Touches sockets."""

from __future__ import annotations

import errno
import os
import socket
import sys
from typing import NamedTuple, NoReturn

import click


class BindFault(NamedTuple):
    """Which *setting* of a table, `host` or `port`, keeps everybody from listening, and *what* is wrong."""

    setting: str
    what: str


_PRIVILEGED = 1024


def bind_fault(host: str, port: int) -> BindFault | None:
    """Tell why nobody can listen at *host* and *port*; nothing when somebody can, or does already."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return BindFault("host", "names no host: it has no address")
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    # A port that is taken is no mistake of the configuration, so that any free one will do.
    bound = (address[0], port if port < _PRIVILEGED else 0, *address[2:])
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(bound)
    except PermissionError:
        return BindFault("port", "may not be listened at by this user: take one from 1024 upwards")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return None
        return BindFault(
            "host", f"is no address of this machine ({errno.errorcode.get(error.errno or 0, '?')})"
        )
    return None


def cannot_listen(table: str, host: str, port: int, error: OSError) -> NoReturn:
    """Say why nobody can listen where *table* wants it, and exit with 2."""
    number = error.errno or 0
    why = os.strerror(number) if number >= 0 else error.strerror  # a name that has no address
    click.echo(f"{table}: cannot listen on {host}, port {port}: {why}", err=True)
    sys.exit(2)
