"""Ends a connection without an answer; touches its socket."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator

#: Linger for no time: what is unsent is thrown away, and the client is told with a reset.
_RESET = struct.pack("ii", 1, 0)


def hang_up(connection: object, *, resets: bool) -> Iterator[bytes]:
    """Close *connection*, as a body that fails before its first byte: so no header is written either."""
    if isinstance(connection, socket.socket):
        with contextlib.suppress(OSError):  # The client may have gone first.
            _reset(connection) if resets else connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError
    yield b""  # Makes this a generator: it runs when the server asks for the body.


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    # The server would say goodbye in order before it closes: it gets another socket to do so.
    here, there = socket.socketpair()
    with here, there:
        os.dup2(here.fileno(), connection.fileno())
