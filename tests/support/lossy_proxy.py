"""A proxy in front of Redis that loses one reply: the script has run, but the client does not know."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK = 65_536


class LosingProxy:
    """Listens on *port* and passes on everything to *target*, but for one reply to a script, once armed."""

    def __init__(self) -> None:
        self.target = 0
        self.lost = 0
        self._armed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def before(self, port: int) -> int:
        """Stand before the server at *port*; return where."""
        self.target = port
        return self.port

    def lose_the_next_reply(self) -> None:
        self._armed = True

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                self._ends += [near, far]
                losing = threading.Event()
                threading.Thread(target=self._up, args=(near, far, losing), daemon=True).start()
                threading.Thread(target=self._down, args=(near, far, losing), daemon=True).start()

    def _up(self, near: socket.socket, far: socket.socket, losing: threading.Event) -> None:
        with suppress(OSError):
            while data := near.recv(CHUNK):
                if self._armed and b"EVAL" in data:
                    self._armed = False
                    losing.set()
                far.sendall(data)
        _end(far)

    def _down(self, near: socket.socket, far: socket.socket, losing: threading.Event) -> None:
        with suppress(OSError):
            while data := far.recv(CHUNK):
                if losing.is_set():
                    self.lost += 1
                    break
                near.sendall(data)
        _end(near)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _end(self._listener)
        self._listener.close()
        for end in self._ends:
            _end(end)
            end.close()


def _end(side: socket.socket) -> None:
    with suppress(OSError):
        side.shutdown(socket.SHUT_RDWR)
