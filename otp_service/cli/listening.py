"""Checks whether a process can listen on a host and port."""

from __future__ import annotations

import errno
import os
import socket
import sys
from typing import Any, NamedTuple, NoReturn

import click

_FIRST_UNPRIVILEGED_PORT = 1024


class BindProblem(NamedTuple):
    """The *setting* (`host` or `port`) that makes listening impossible, and *what* is wrong with it."""

    setting: str
    what: str


def bind_problem(host: str, port: int) -> BindProblem | None:
    """Return why this machine cannot listen on *host* and *port*, or None, also for a port in use."""
    try:
        family, address = _resolve(host, port)
    except OSError:
        return BindProblem("host", "cannot be resolved to an address")
    # Binding a free port instead of *port* ignores a port in use. Only privileged ports are bound themselves.
    bound = (address[0], port if port < _FIRST_UNPRIVILEGED_PORT else 0, *address[2:])
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(bound)
    except PermissionError:
        return BindProblem("port", "needs privileges that this user lacks: use a port from 1024 upwards")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return None
        return BindProblem(
            "host", f"is not an address of this machine ({errno.errorcode.get(error.errno or 0, '?')})"
        )
    return None


def try_to_listen(host: str, port: int) -> None:
    """Listen on *host* and *port* for a moment.

    Raises:
        OSError: that is not possible, for example because the port is in use.
    """
    family, address = _resolve(host, port)
    socket.create_server(address[:2], family=family).close()


def exit_cannot_listen(table: str, host: str, port: int, error: OSError) -> NoReturn:
    """Print that the address in the settings *table* cannot be used, and exit with 2."""
    number = error.errno or 0
    why = os.strerror(number) if number >= 0 else error.strerror  # negative: an error of name resolution
    click.echo(f"{table}: cannot listen on {host}, port {port}: {why}", err=True)
    sys.exit(2)


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """Return the first address of *host*, IPv4 before IPv6."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, address
